"""Have functions called when Ringback delivers a webhook: verified, by type, each once."""

from .dedupe import Claim, Dedupe, MemoryDedupe
from .receiver import Answer, DeadlineError, Event, Handler, Receiver, Reject, Reply, Retry
from .signature import VerificationError, Verifier

__all__ = [
    "Answer",
    "Claim",
    "DeadlineError",
    "Dedupe",
    "Event",
    "Handler",
    "MemoryDedupe",
    "Receiver",
    "Reject",
    "Reply",
    "Retry",
    "VerificationError",
    "Verifier",
]
