export { MemoryDedupe, type Claim, type Dedupe } from "./dedupe.js";
export * from "./follow.js";
export { Callback, Gateway, type Answering, type NewCall, type NewCallback, type Once } from "./gateway.js";
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
