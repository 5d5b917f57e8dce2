"""What a peer is answered: from storage errors to the statuses of PS3.4 B.2.3, C.4.1.1.4 and C.4.2.1.5."""

from dataclasses import dataclass

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

SUCCESS = 0x0000
SOP_CLASS_NOT_SUPPORTED = 0x0122
"""PS3.7 C.5."""
OUT_OF_RESOURCES = 0xA700
STORE_UNAVAILABLE = 0xA701
DATA_SET_DOES_NOT_MATCH = 0xA900
STORED_ALTHOUGH_NOT_MATCHING = 0xB007
CANNOT_UNDERSTAND = 0xC000
DUPLICATE = 0xC111
PROCESSING_FAILURE = 0x0110
"""PS3.7 C.5: the peer is not at fault."""

ATTRIBUTE_LIST_ERROR = 0x0107
"""PS3.7 C.4.2: a warning, some attributes were left as they are."""
INVALID_ATTRIBUTE_VALUE = 0x0106
DUPLICATE_SOP_INSTANCE = 0x0111
NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_ARGUMENT_VALUE = 0x0115
INVALID_SOP_INSTANCE = 0x0117
CLASS_INSTANCE_CONFLICT = 0x0119
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121
NO_SUCH_ACTION = 0x0123
REFUSED_NOT_AUTHORIZED = 0x0124
UNRECOGNIZED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
"""PS3.7 C.5."""

UNABLE_TO_CALCULATE_MATCHES = 0xA701
UNABLE_TO_PERFORM_SUBOPERATIONS = 0xA702
MOVE_DESTINATION_UNKNOWN = 0xA801
SUBOPERATIONS_WITH_FAILURES = 0xB000
CANCELLED = 0xFE00
PENDING = 0xFF00
PENDING_WITHOUT_SOME_KEYS = 0xFF01
"""One or more optional keys were not supported for existence or matching (PS3.4 C.4.1.1.4)."""

FAILURES: dict[type[StorageError], int] = {
    InvalidInstance: CANNOT_UNDERSTAND,
    # Cxxx leaves the last digits to us; 0111 is "duplicate SOP instance" in PS3.7 C.5.8.
    DuplicateInstance: DUPLICATE,
    StorageFull: OUT_OF_RESOURCES,
    # Refused for want of resources, so that the peer tries again later.
    StorageDown: STORE_UNAVAILABLE,
    # Storing asks for nothing that these could be the answer to.
    UnknownInstance: PROCESSING_FAILURE,
    InvalidQuery: PROCESSING_FAILURE,
    QueryTooBroad: PROCESSING_FAILURE,
}

FIND_FAILURES: dict[type[StorageError], int] = {
    # The identifier cannot be read, or asks what makes no sense; a level that the SOP class does not have is
    # `DATA_SET_DOES_NOT_MATCH`.
    InvalidInstance: CANNOT_UNDERSTAND,
    InvalidQuery: CANNOT_UNDERSTAND,
    StorageFull: OUT_OF_RESOURCES,
    # Refused for want of resources, so that the peer tries again later.
    StorageDown: OUT_OF_RESOURCES,
    QueryTooBroad: OUT_OF_RESOURCES,
    # Deleted meanwhile; searching for it raises nothing.
    UnknownInstance: CANNOT_UNDERSTAND,
    DuplicateInstance: CANNOT_UNDERSTAND,
}
"""C-FIND, PS3.4 C.4.1.1.4: A700 refused, Cxxx unable to process."""

RETRIEVE_FAILURES: dict[type[StorageError], int] = {
    InvalidInstance: CANNOT_UNDERSTAND,
    # The identifier lacks the unique key of its level.
    InvalidQuery: DATA_SET_DOES_NOT_MATCH,
    StorageFull: UNABLE_TO_CALCULATE_MATCHES,
    StorageDown: UNABLE_TO_CALCULATE_MATCHES,
    QueryTooBroad: UNABLE_TO_CALCULATE_MATCHES,
    UnknownInstance: CANNOT_UNDERSTAND,
    DuplicateInstance: CANNOT_UNDERSTAND,
}
"""C-GET and C-MOVE before there are sub-operations, PS3.4 C.4.2.1.5 and C.4.3.1.4."""

_MAX_COMMENT = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """Status (0000,0900) of a response, and the reason in full; empty for success."""

    status: int
    reason: str = ""
    error_id: int = 0
    """Error ID (0000,0903) of a DIMSE-N response, where the service has one."""
    attributes: tuple[str, ...] = ()
    """Tags for the Attribute Identifier List (0000,1005) of a DIMSE-N response."""

    @property
    def stored(self) -> bool:
        """Success or warning: the instance is in the archive (PS3.7 C.1)."""
        return self.status == SUCCESS or self.status >> 12 == 0xB  # noqa: PLR2004 - warnings are Bxxx

    def comment(self, sop: str) -> str:
        """The reason as Error Comment (0000,0902): at most 64 characters of the default repertoire, VR LO.

        The answer has the SOP Instance UID of its own, so it takes no room here.
        """
        reason = self.reason.replace(f"SOPInstanceUID {sop} is ", "")
        text = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in reason)
        return text if len(text) <= _MAX_COMMENT else f"{text[: _MAX_COMMENT - 3]}..."


def answer_to(error: StorageError) -> Answer:
    """The answer for an instance that was not stored because of `error`."""
    return Answer(FAILURES[type(error)], str(error))
