"""What the gateway says about callbacks, and each end of one that is no answer, as an error."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, TypedDict


class Content(TypedDict, total=False):
    """What arrived: as JSON, as the fields of a form, as text or in Base64."""

    size: int
    contentType: str
    json: Any
    form: Dict[str, Any]
    text: str
    base64: str
    #: It is too large to be shown here.
    truncated: bool


class View(TypedDict, total=False):
    """A callback as it is; docs/callbacks.md tells what each field means. Who follows it with a wait
    token sees less of it."""

    id: str
    application: str
    kind: str
    #: pending, returned, completed, failed, expired or canceled.
    status: str
    source: str
    reference: str
    tags: List[str]
    metadata: Dict[str, str]
    createdAt: str
    expiresAt: str
    settledAt: str
    #: The request that settled it.
    settledBy: str
    heartbeat: int
    mode: str
    items: int
    maxItems: int
    requests: int
    result: Content


@dataclass(frozen=True)
class CallbackEvent:
    """Something that happened to a callback."""

    #: Ringback's name for it; following can go on after it. Empty if it is known by polling only.
    id: str
    #: progress, item, returned, completed, failed, expired or canceled.
    type: str
    #: All that is said about it.
    data: Mapping[str, Any]

    @property
    def value(self) -> Any:
        """What came with it: JSON, the fields of a form, text or bytes."""
        return value(self.data.get("result") or self.data.get("body"))


class GatewayError(Exception):
    """Whatever comes from the gateway."""


class ExpiredError(GatewayError):
    """A deadline passed before an answer came."""


class CanceledError(GatewayError):
    """The application did not want the answer any more."""


class FailedError(GatewayError):
    """The other side, or the application, said that there will be no answer."""

    def __init__(self, view: View) -> None:
        super().__init__("the callback has failed")
        #: What it said: JSON, the fields of a form, text or bytes.
        self.body = value(view.get("result"))


class ConflictError(GatewayError):
    """It has ended otherwise, or the idempotency key belongs to another request; `wait()` says how."""


class UnavailableError(GatewayError):
    """The server was not to be had for as long as was waited, or kept saying that it has no time."""


class RefusedError(GatewayError):
    """The server refused the request; doing it again is in vain."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code} {detail}".rstrip())
        self.status = status
        #: `not_found` and the like; empty if the answer has none.
        self.code = code


def is_end(status: str) -> bool:
    """Whether nothing more happens to a callback in this state."""
    return status in ("completed", "failed", "expired", "canceled")


def answer_of(view: View) -> Any:
    """The answer of a callback that has ended; raises the error that stands for any other end."""
    status = view["status"]
    if status == "completed":
        return value(view.get("result"))
    if status == "failed":
        raise FailedError(view)
    if status == "expired":
        raise ExpiredError("the callback has expired")
    raise CanceledError("the callback was canceled")


def value(content: Optional[Content]) -> Any:
    """What arrived as a value: JSON, the fields of a form, text or bytes; `None` if nothing did."""
    if not content:
        return None
    if "base64" in content:
        return base64.b64decode(content["base64"])
    kinds = (content.get("json"), content.get("form"), content.get("text"))
    return next((one for one in kinds if one is not None), None)


def refusal(status: int, body: bytes) -> GatewayError:
    """What an answer of the server that is none of success means."""
    said = _parsed(body)
    detail = said.get("detail", "")
    told = detail if isinstance(detail, str) else json.dumps(detail)
    if status == 409:
        return ConflictError(told)
    return RefusedError(status, str(said.get("code", "")), told)


def _parsed(body: bytes) -> Dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
