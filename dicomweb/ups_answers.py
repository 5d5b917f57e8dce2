"""Replies of PS3.4 CC as HTTP says them (PS3.18 11): statuses, Warning headers, data sets."""

import json
from collections.abc import Mapping, Sequence

from fastapi.responses import Response

from dicomweb.media_types import DICOM_JSON as _DICOM_JSON
from dicomweb.media_types import DICOM_XML, Offer
from dicomweb.media_types import JSON as _JSON
from dicomweb.multipart import multipart_type, new_boundary, write_multipart
from dicomweb.problems import problem
from dicomweb.xml import write_xml
from storage.procedure_steps import Attributes, Reply

OFFERS = [Offer(_DICOM_JSON), Offer(_JSON), Offer(DICOM_XML, multipart=True)]

STATUS: dict[int, int] = {
    0x0106: 400,
    0x0111: 409,
    0x0120: 400,
    0x0121: 400,
    0xC300: 409,
    0xC301: 409,
    0xC302: 409,
    0xC303: 400,
    0xC304: 409,
    0xC307: 404,
    0xC309: 400,
    0xC310: 409,
    0xC311: 409,
    0xC312: 409,
    0xC314: 400,
}
"""HTTP statuses of failures."""

_INCONSISTENT = "The submitted request is inconsistent with the state of the UPS Instance."
WARNINGS: dict[int, str] = {
    0xB300: "The Workitem was created with modifications.",
    0xB304: "The UPS is already in the requested state of CANCELED.",
    0xB306: "The UPS is already in the requested state of COMPLETED.",
    0xC300: _INCONSISTENT,
    0xC301: "The Transaction UID is incorrect.",
    0xC302: _INCONSISTENT,
    0xC303: _INCONSISTENT,
    0xC304: _INCONSISTENT,
    0xC310: "The target URI did not reference a claimed Workitem.",
    0xC311: "The UPS is already COMPLETED.",
    0xC312: "The performer cannot be contacted.",
}
"""Warn-text of the Warning header, in the words of PS3.18 11.4 to 11.8."""
_MISSING_TRANSACTION = "The Transaction UID is missing."


def replied(reply: Reply, base: str, success: int, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that says `reply`.

    Args:
        reply: to the request.
        base: address of the service, which Warning headers name.
        success: status of a request that was a success.
        headers: of the answer to such a request.
    """
    text = WARNINGS.get(reply.status)
    if reply.status == 0xC301 and "missing" in reply.comment:  # noqa: PLR2004 - two texts for one status
        text = _MISSING_TRANSACTION
    warning = {"Warning": f'299 {base} "{text}"'} if text else {}
    if reply.status in STATUS:
        return problem(STATUS[reply.status], reply.comment, warning)
    return Response(status_code=success, headers={**(headers or {}), **warning})


def data_sets(found: Sequence[Attributes], media: str, headers: Mapping[str, str] | None = None) -> Response:
    """Data sets as a JSON array, or as XML in a part each; 204 where there is nothing to put into parts."""
    if media != DICOM_XML:
        body = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return Response(body, headers=headers, media_type=media)
    if not found:
        return Response(status_code=204, headers=headers)
    boundary = new_boundary()
    parts = ((DICOM_XML, [write_xml(each)]) for each in found)
    body = b"".join(write_multipart(parts, boundary))
    return Response(body, headers=headers, media_type=multipart_type(DICOM_XML, boundary))
