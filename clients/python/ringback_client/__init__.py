"""Have functions called when Ringback delivers a webhook: verified, by type, each once. Ask somebody
else, hand out a URL, and get exactly one answer."""

from .dedupe import Claim, Dedupe, MemoryDedupe
from .gateway import Callback, CallbackHandler, Gateway
from .outcome import (
    CallbackEvent,
    CanceledError,
    ConflictError,
    Content,
    ExpiredError,
    FailedError,
    GatewayError,
    RefusedError,
    UnavailableError,
    View,
)
from .receiver import Answer, DeadlineError, Event, Handler, Receiver, Reject, Reply, Retry
from .signature import VerificationError, Verifier

__all__ = [
    "Answer",
    "Callback",
    "CallbackEvent",
    "CallbackHandler",
    "CanceledError",
    "Claim",
    "ConflictError",
    "Content",
    "DeadlineError",
    "Dedupe",
    "Event",
    "ExpiredError",
    "FailedError",
    "Gateway",
    "GatewayError",
    "Handler",
    "MemoryDedupe",
    "Receiver",
    "RefusedError",
    "Reject",
    "Reply",
    "Retry",
    "UnavailableError",
    "VerificationError",
    "Verifier",
    "View",
]
