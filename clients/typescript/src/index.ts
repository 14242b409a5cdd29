export { MemoryDedupe, type Claim, type Dedupe } from "./dedupe.js";
export {
  DeadlineError,
  Event,
  Receiver,
  Reject,
  Reply,
  Retry,
  type Answer,
  type Handler,
  type Incoming,
  type Options,
} from "./receiver.js";
export { VerificationError, Verifier, type Reason } from "./signature.js";
