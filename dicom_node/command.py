"""Command sets of the DIMSE services (PS3.7 9.3, 10.3): always Implicit VR Little Endian (PS3.7 6.3.1)."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from dicom_node.pdus import P_DATA_TF
from dicom_node.status import Answer

AFFECTED_SOP_CLASS_UID, REQUESTED_SOP_CLASS_UID = 0x0002, 0x0003
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
PRIORITY = 0x0700
COMMAND_DATA_SET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT, ERROR_ID = 0x0902, 0x0903
AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID = 0x1000, 0x1001
EVENT_TYPE_ID, ATTRIBUTE_IDENTIFIER_LIST, ACTION_TYPE_ID = 0x1002, 0x1005, 0x1008
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023
MOVE_ORIGINATOR_AE_TITLE = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID = 0x1031

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_GET_RSP, C_FIND_RSP, C_MOVE_RSP = 0x8010, 0x8020, 0x8021
C_ECHO_RQ = 0x0030
N_EVENT_REPORT_RQ, N_ACTION_RQ, N_CREATE_RQ = 0x0100, 0x0130, 0x0140
N_GET_RSP, N_SET_RSP, N_ACTION_RSP, N_CREATE_RSP = 0x8110, 0x8120, 0x8130, 0x8140
NO_DATA_SET = 0x0101
_DATA_SET = 0x0001
MEDIUM = 0x0000
_MOST = 0xFFFF
"""The greatest number of sub-operations that a VR US can tell."""

_ELEMENT = struct.Struct("<HHI")
Command = Mapping[int, bytes]
"""Values by element number; all are of group 0000."""


def decode(data: bytes) -> Command:
    """The elements of a command set.

    Raises:
        ValueError: it is cut short or holds elements of another group.
    """
    command: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + _ELEMENT.size > len(data):
            raise ValueError("the command set is cut short")
        group, number, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size + length
        if group or at > len(data):
            raise ValueError(f"({group:04X},{number:04X}) does not belong into a command set")
        command[number] = data[at - length : at]
    return command


def number(command: Command, element: int) -> int | None:
    """An unsigned value of 16 bits; None when there is none."""
    value = command.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None  # noqa: PLR2004 - VR US


def text(command: Command, element: int) -> str:
    """A UID or text without padding; empty when there is none."""
    return command.get(element, b"").decode("latin-1").strip(" \0")


@dataclass(frozen=True, slots=True)
class Originator:
    """Who asked for the C-MOVE that a C-STORE is a sub-operation of (PS3.7 9.3.1.1)."""

    aet: str
    message_id: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of sub-operations (PS3.7 9.3.3.2, 9.3.4.2)."""

    remaining: int | None = None
    """None in the last response of an operation that was not cancelled."""
    completed: int = 0
    failed: int = 0
    warning: int = 0


def c_store_rq(
    message_id: int, sop_class: str, sop: str, originator: Originator | None = None, priority: int = MEDIUM
) -> bytes:
    """PS3.7 Table 9.3-1."""
    moved: dict[int, bytes] = {}
    if originator:
        moved[MOVE_ORIGINATOR_AE_TITLE] = _padded(originator.aet, b" ")
        moved[MOVE_ORIGINATOR_MESSAGE_ID] = _us(originator.message_id)
    return _encode(
        {
            AFFECTED_SOP_CLASS_UID: _uid(sop_class),
            COMMAND_FIELD: _us(C_STORE_RQ),
            MESSAGE_ID: _us(message_id),
            PRIORITY: _us(priority),
            COMMAND_DATA_SET_TYPE: _us(_DATA_SET),
            AFFECTED_SOP_INSTANCE_UID: _uid(sop),
            **moved,
        }
    )


def query_rsp(
    field: int,
    message_id: int,
    sop_class: str,
    answer: Answer,
    *,
    identifier: bool = False,
    counts: Counts | None = None,
) -> bytes:
    """A response of C-FIND, C-GET or C-MOVE (PS3.7 Tables 9.3-4, 9.3-7, 9.3-10).

    Args:
        field: `C_FIND_RSP`, `C_GET_RSP` or `C_MOVE_RSP`.
        message_id: of the request.
        sop_class: Affected SOP Class UID of the request.
        answer: status, and the reason of a failure or warning.
        identifier: a data set follows.
        counts: of C-GET and C-MOVE.
    """
    comment = {ERROR_COMMENT: _padded(answer.comment(""), b" ")} if answer.reason else {}
    return _encode(
        {
            AFFECTED_SOP_CLASS_UID: _uid(sop_class),
            COMMAND_FIELD: _us(field),
            MESSAGE_ID_BEING_RESPONDED_TO: _us(message_id),
            COMMAND_DATA_SET_TYPE: _us(_DATA_SET if identifier else NO_DATA_SET),
            STATUS: _us(answer.status),
            **comment,
            **(_counted(counts) if counts else {}),
        }
    )


def _counted(counts: Counts) -> dict[int, bytes]:
    numbers = {
        REMAINING: counts.remaining,
        COMPLETED: counts.completed,
        FAILED: counts.failed,
        WARNING: counts.warning,
    }
    return {element: _us(min(value, _MOST)) for element, value in numbers.items() if value is not None}


def c_store_rsp(message_id: int, sop_class: str, sop: str, answer: Answer) -> bytes:
    """PS3.7 Table 9.3-2, with the reason of a failure or warning (PS3.7 C.4)."""
    comment = {ERROR_COMMENT: _padded(answer.comment(sop), b" ")} if answer.reason else {}
    return _encode(
        {
            AFFECTED_SOP_CLASS_UID: _uid(sop_class),
            COMMAND_FIELD: _us(C_STORE_RSP),
            MESSAGE_ID_BEING_RESPONDED_TO: _us(message_id),
            COMMAND_DATA_SET_TYPE: _us(NO_DATA_SET),
            STATUS: _us(answer.status),
            **comment,
            AFFECTED_SOP_INSTANCE_UID: _uid(sop),
        }
    )


def c_echo_rq(message_id: int) -> bytes:
    """PS3.7 Table 9.3-12."""
    return _encode(
        {
            AFFECTED_SOP_CLASS_UID: _uid("1.2.840.10008.1.1"),
            COMMAND_FIELD: _us(C_ECHO_RQ),
            MESSAGE_ID: _us(message_id),
            COMMAND_DATA_SET_TYPE: _us(NO_DATA_SET),
        }
    )


def normalized_rsp(
    field: int, message_id: int, sop_class: str, sop: str, answer: Answer, *, data_set: bool = False
) -> bytes:
    """A response of N-GET, N-SET, N-ACTION or N-CREATE (PS3.7 10.3).

    Args:
        field: `N_GET_RSP`, …
        message_id: of the request.
        sop_class: of the instance that was operated on.
        sop: its SOP Instance UID.
        answer: status, and what else the response tells of a failure or warning.
        data_set: a data set follows.
    """
    comment = {ERROR_COMMENT: _padded(answer.comment(sop), b" ")} if answer.reason else {}
    error_id = {ERROR_ID: _us(answer.error_id)} if answer.error_id else {}
    tags = b"".join(struct.pack("<HH", int(tag[:4], 16), int(tag[4:], 16)) for tag in answer.attributes)
    return _encode(
        {
            AFFECTED_SOP_CLASS_UID: _uid(sop_class),
            COMMAND_FIELD: _us(field),
            MESSAGE_ID_BEING_RESPONDED_TO: _us(message_id),
            COMMAND_DATA_SET_TYPE: _us(_DATA_SET if data_set else NO_DATA_SET),
            STATUS: _us(answer.status),
            **comment,
            **error_id,
            AFFECTED_SOP_INSTANCE_UID: _uid(sop),
            **({ATTRIBUTE_IDENTIFIER_LIST: tags} if tags else {}),
        }
    )


def n_create_rq(message_id: int, sop_class: str, sop: str) -> bytes:
    """PS3.7 Table 10.3-9; a data set with the attributes follows."""
    return _encode(
        {
            AFFECTED_SOP_CLASS_UID: _uid(sop_class),
            COMMAND_FIELD: _us(N_CREATE_RQ),
            MESSAGE_ID: _us(message_id),
            COMMAND_DATA_SET_TYPE: _us(_DATA_SET),
            AFFECTED_SOP_INSTANCE_UID: _uid(sop),
        }
    )


def n_event_report_rq(message_id: int, sop_class: str, sop: str, event_type: int) -> bytes:
    """PS3.7 Table 10.3-1; a data set with the Event Information follows."""
    return _encode(
        {
            AFFECTED_SOP_CLASS_UID: _uid(sop_class),
            COMMAND_FIELD: _us(N_EVENT_REPORT_RQ),
            MESSAGE_ID: _us(message_id),
            COMMAND_DATA_SET_TYPE: _us(_DATA_SET),
            AFFECTED_SOP_INSTANCE_UID: _uid(sop),
            EVENT_TYPE_ID: _us(event_type),
        }
    )


def p_data_tf(context_id: int, control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF PDU with one presentation data value (PS3.8 9.3.5).

    Args:
        context_id: of the presentation context.
        control: message control header (PS3.8 E.2).
        fragment: of a command set or data set.
    """
    return pdu_header(context_id, control, len(fragment)) + fragment


def pdu_header(context_id: int, control: int, length: int) -> bytes:
    """What comes before a fragment of `length` bytes in its P-DATA-TF PDU."""
    return struct.pack(">BxIIBB", P_DATA_TF, length + 6, length + 2, context_id, control)


def _encode(elements: Command) -> bytes:
    encoded = b"".join(_ELEMENT.pack(0, number, len(value)) + value for number, value in elements.items())
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<I", len(encoded)) + encoded


def _us(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _uid(value: str) -> bytes:
    return _padded(value, b"\0")


def _padded(value: str, pad: bytes) -> bytes:
    encoded = value.encode("latin-1")
    return encoded + pad * (len(encoded) % 2)
