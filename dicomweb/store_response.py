"""The Store Instances Response (PS3.18 I): what became of each instance, and the status of all."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.responses import Response

from dicomweb.media_types import DICOM_XML
from dicomweb.xml import write_xml
from storage.errors import (
    DuplicateInstance,
    InvalidInstance,
    InvalidQuery,
    QueryTooBroad,
    StorageDown,
    StorageError,
    StorageFull,
    UnknownInstance,
)

CANNOT_UNDERSTAND = 0xC000
OTHER_RESOURCE = 0xA900
# PS3.18 table I.2-2; 0111 is Duplicate SOP Instance of PS3.7 C.5.8.
FAILURE_REASONS: dict[type[StorageError], int] = {
    InvalidInstance: CANNOT_UNDERSTAND,
    DuplicateInstance: 0x0111,
    StorageFull: 0xA700,
    StorageDown: 0x0110,
    UnknownInstance: 0x0110,
    InvalidQuery: 0x0110,
    QueryTooBroad: 0x0110,
}
_WARNING = 0xB007
"""Data Set does not match SOP Class (PS3.18 table I.2-1)."""
_MAX_COMMENT = 64


@dataclass(frozen=True, slots=True)
class Failure:
    """An instance that was not stored."""

    sop_class: str
    sop: str
    """Empty when its UID cannot be read."""
    reason: int
    """Failure Reason (0008,1197)."""
    comment: str


@dataclass(frozen=True, slots=True)
class Success:
    """An instance that was stored."""

    sop_class: str
    sop: str
    url: str
    """Its Retrieve URL."""
    warnings: tuple[str, ...] = ()


Result = Success | Failure


def failure_reason(error: StorageError) -> int:
    """The Failure Reason (0008,1197) that says `error`."""
    return next(FAILURE_REASONS[kind] for kind in type(error).__mro__ if kind in FAILURE_REASONS)


def store_response(results: Sequence[Result], url: str, media: str, *, partly: int = 202) -> Response:
    """The answer to a store request, with the status of PS3.18 table 10.5.3-1.

    Args:
        results: one for each instance of the request; 503 and 507 when storage refused all of them.
        url: where all that was stored can be retrieved; empty where that is no one place.
        media: a JSON media type, or that of DICOM XML.
        partly: status when some are stored, or some with warnings.
    """
    status = _status(results, partly)
    module = _module(results, url)
    if media == DICOM_XML:
        body = write_xml(module)
    else:
        body = json.dumps(module, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    headers = {"Retry-After": "5"} if status == 503 else None  # noqa: PLR2004 - Service Unavailable
    return Response(body, status, headers, media_type=media)


def _status(results: Sequence[Result], partly: int) -> int:
    stored = [result for result in results if isinstance(result, Success)]
    if len(stored) == len(results):
        return partly if any(success.warnings for success in stored) else 200
    if stored:
        return partly
    reasons = {result.reason for result in results if isinstance(result, Failure)}
    if reasons == {FAILURE_REASONS[StorageFull]}:
        return 507
    return 503 if reasons == {FAILURE_REASONS[StorageDown]} else 409


def _module(results: Sequence[Result], url: str) -> dict[str, Any]:
    stored = [result for result in results if isinstance(result, Success)]
    failed = [result for result in results if isinstance(result, Failure)]
    module: dict[str, Any] = {"00081190": _attribute("UR", *filter(None, [url]))}
    sequences = {
        "00081198": [_failed(failure) for failure in failed if failure.sop],
        "00081199": [_referenced(success) for success in stored],
        # Other Failures: what the request sent without a UID that could be read (PS3.18 table I.1-1).
        "0008119A": [_reason(failure) for failure in failed if not failure.sop],
    }
    return module | {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}


def _attribute(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def _sop(sop_class: str, sop: str) -> dict[str, Any]:
    classes: Iterable[str] = [sop_class] if sop_class else []
    return {"00081150": _attribute("UI", *classes), "00081155": _attribute("UI", sop)}


def _reason(failure: Failure) -> dict[str, Any]:
    # Error Comment (0000,0902), as a C-STORE response would carry it: the person who sent it wants to know.
    comment = _attribute("LO", failure.comment[:_MAX_COMMENT])
    return {"00000902": comment, "00081197": _attribute("US", failure.reason)}


def _failed(failure: Failure) -> dict[str, Any]:
    return dict(sorted({**_sop(failure.sop_class, failure.sop), **_reason(failure)}.items()))


def _referenced(success: Success) -> dict[str, Any]:
    item = _sop(success.sop_class, success.sop)
    item["00081190"] = _attribute("UR", success.url)
    if success.warnings:
        item = {"00000902": _attribute("LO", success.warnings[0][:_MAX_COMMENT]), **item}
        item["00081196"] = _attribute("US", _WARNING)
    return item
