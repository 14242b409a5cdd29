//! What the process tells about itself: logs, trace context, metrics. No secret in any of them.

pub mod logs;
pub mod metrics;
pub mod trace;
