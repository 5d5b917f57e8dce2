"""Instance Availability Notification (PS3.4 R): peers are told what can be retrieved here, and tell us."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pydicom.uid import generate_uid

from dicom_node.contexts import QUERY_TRANSFER_SYNTAXES
from dicom_node.destinations import Destinations
from dicom_node.identifier import Attributes, Identifier, write_identifier
from dicom_node.normalized import NormalizedRequest, Unsuccessful
from dicom_node.peers import Peer
from dicom_node.requestor import AssociationFailed
from dicom_node.status import (
    DUPLICATE_SOP_INSTANCE,
    INVALID_ATTRIBUTE_VALUE,
    MISSING_ATTRIBUTE,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    Answer,
)
from storage.availability import Availability, Notice
from storage.errors import InvalidInstance
from storage.instances import StoredInstance, checked_uid
from storage.sql.availability import SqlAvailability

log = logging.getLogger(__name__)

SOP_CLASS = "1.2.840.10008.5.1.4.33"
_PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
_AVAILABILITIES = frozenset({"ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE"})
"""PS3.3 C.4.23.1.1."""

_STEP_SEQUENCE, _WORKITEM_CODES = "00081111", "00404019"
_STUDY, _SERIES, _SERIES_SEQUENCE, _SOP_SEQUENCE = "0020000D", "0020000E", "00081115", "00081199"
_SOP_CLASS_UID, _SOP_UID, _AVAILABILITY, _RETRIEVE_AET = "00081150", "00081155", "00080056", "00080054"

Announced = tuple[StoredInstance, Availability]


def notification(aet: str, study: str, instances: Iterable[Announced], step: str = "") -> Attributes:
    """The attributes of one notification (PS3.4 Table R.3.2-1).

    Args:
        aet: our AE title.
        study: Study Instance UID.
        instances: of the study, and whether they can be retrieved.
        step: SOP Instance UID of the performed procedure step that they were made in.
    """
    by_series: dict[str, list[Attributes]] = {}
    for instance, availability in instances:
        told = {
            _SOP_CLASS_UID: _one("UI", instance.sop_class),
            _SOP_UID: _one("UI", instance.key.sop),
            _AVAILABILITY: _one("CS", availability),
            _RETRIEVE_AET: _one("AE", aet),
        }
        by_series.setdefault(instance.key.series, []).append(told)
    performed = {
        _SOP_CLASS_UID: _one("UI", _PERFORMED_STEP),
        _SOP_UID: _one("UI", step),
        _WORKITEM_CODES: {"vr": "SQ"},
    }
    series = [
        {_SERIES: _one("UI", uid), _SOP_SEQUENCE: {"vr": "SQ", "Value": items}}
        for uid, items in by_series.items()
    ]
    return {
        _STEP_SEQUENCE: {"vr": "SQ", "Value": [performed]} if step else {"vr": "SQ"},
        _STUDY: _one("UI", study),
        _SERIES_SEQUENCE: {"vr": "SQ", "Value": series},
    }


def announce(
    destinations: Destinations, peer: Peer, notifications: Sequence[Attributes], timeout: float
) -> None:
    """Tell a peer (PS3.4 R.3.2.1), each notification in an N-CREATE of its own.

    Raises:
        AssociationFailed: it was not told all, or does not want to hear it.
    """
    proposals = [(SOP_CLASS, syntax) for syntax in QUERY_TRANSFER_SYNTAXES]
    with destinations.connect(peer, proposals, timeout) as association:
        proposal = next((each for each in proposals if association.accepts(each)), None)
        if proposal is None:
            raise AssociationFailed("the peer does not accept Instance Availability Notification")
        for each in notifications:
            answer = association.create(proposal, generate_uid(), write_identifier(each, proposal[1]))
            if answer.status:
                raise AssociationFailed(f"the peer answers 0x{answer.status:04X} {answer.reason}".rstrip())


class AvailabilityNotices:
    """Keeps what others say that they have."""

    sop_classes: Mapping[str, str] = {SOP_CLASS: "Instance Availability Notification"}

    def __init__(self, notices: SqlAvailability) -> None:
        self._notices = notices

    def serve(self, request: NormalizedRequest) -> None:
        """Respond; raises as `NormalizedService.serve`."""
        if request.operation != "N-CREATE":
            reason = f"{request.operation} is no operation of {self.sop_classes[SOP_CLASS]}"
            raise Unsuccessful(Answer(UNRECOGNIZED_OPERATION, reason))
        # The SCU shall name it (R.3.2.1.2); one that leaves it to us, as PS3.7 10.1.5 allows, is heard too.
        sop = request.sop or generate_uid()
        checked_uid(sop, "AffectedSOPInstanceUID")
        data_set = request.data_set()
        notice = Notice(sop, request.channel.peer, _study(data_set), data_set.attributes, datetime.now(UTC))
        if not self._notices.add(notice):
            raise Unsuccessful(Answer(DUPLICATE_SOP_INSTANCE, f"there is a notification {sop}"))
        log.info("%s has %d instances of study %s", notice.peer, len(notice.instances()), notice.study)
        request.respond(Answer(SUCCESS), sop=sop)


def _study(data_set: Identifier) -> str:
    """The Study Instance UID, of a notification that has all it must have."""
    _check(data_set.attributes, _STUDY, _SERIES_SEQUENCE)
    for series in _items(data_set.attributes, _SERIES_SEQUENCE):
        _check(series, _SERIES, _SOP_SEQUENCE)
        for instance in _items(series, _SOP_SEQUENCE):
            _check(instance, _SOP_CLASS_UID, _SOP_UID, _AVAILABILITY, _RETRIEVE_AET)
            said = Identifier(instance, ()).text(_AVAILABILITY)
            if said not in _AVAILABILITIES:
                reason = f"InstanceAvailability is {said[:16]!r}"
                raise Unsuccessful(Answer(INVALID_ATTRIBUTE_VALUE, reason, attributes=(_AVAILABILITY,)))
    return checked_uid(data_set.text(_STUDY), "StudyInstanceUID")


def _check(attributes: Attributes, *needed: str) -> None:
    """Each has a value: they are of type 1."""
    missing = tuple(tag for tag in needed if not attributes.get(tag, {}).get("Value"))
    if missing:
        raise Unsuccessful(Answer(MISSING_ATTRIBUTE, f"missing: {', '.join(missing)}", attributes=missing))


def _items(attributes: Attributes, tag: str) -> list[Attributes]:
    items: list[Attributes | None] = attributes[tag]["Value"]
    if any(item is not None and not isinstance(item, dict) for item in items):
        raise InvalidInstance(f"({tag[:4]},{tag[4:]}) is no sequence")
    return [item or {} for item in items]


def _one(vr: str, value: str) -> Attributes:
    return {"vr": vr, "Value": [value]}
