"""What a request about a Unified Procedure Step is answered: the statuses of PS3.4 CC.2."""

from dataclasses import dataclass

SUCCESS = 0x0000
INVALID_VALUE = 0x0106
DUPLICATE = 0x0111
MISSING_ATTRIBUTE = 0x0120
MISSING_VALUE = 0x0121
MODIFIED = 0xB300
ALREADY_CANCELED = 0xB304
ALREADY_COMPLETED = 0xB306
NO_LONGER_UPDATED = 0xC300
WRONG_TRANSACTION = 0xC301
ALREADY_IN_PROGRESS = 0xC302
NOT_BACK_TO_SCHEDULED = 0xC303
FINAL_STATE_NOT_MET = 0xC304
UNKNOWN_STEP = 0xC307
NOT_CREATED_SCHEDULED = 0xC309
NOT_IN_PROGRESS = 0xC310
CANNOT_CANCEL_COMPLETED = 0xC311
PERFORMER_NOT_CONTACTED = 0xC312
NOT_APPROPRIATE = 0xC314


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request."""

    status: int = SUCCESS
    """Status (0000,0900): 0000 success, Bxxx a warning, otherwise a failure."""
    comment: str = ""
    """What is wrong, in a sentence."""
    uid: str = ""
    """SOP Instance UID of a procedure step that was created."""


class Refused(Exception):
    """The request is refused with `reply`; the transaction it happened in is rolled back."""

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.reply = Reply(status, comment)


def unknown(uid: str) -> Refused:
    """There is no such procedure step (C307)."""
    return Refused(UNKNOWN_STEP, f"no procedure step {uid}")
