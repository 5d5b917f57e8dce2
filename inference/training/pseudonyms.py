"""Names, UIDs and dates that stand for others: the same ones whenever the same key is used."""

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

from inference.uids import uid_from

_LONGEST_SHIFT = 3650
_STANDARD = "1.2.840.10008."


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Stands-in by keyed hash: without the key nobody gets from them to the originals, or can try guesses."""

    key: bytes

    def uid(self, original: str) -> str:
        """Another UID; those that the standard defines stay."""
        if original.startswith(_STANDARD) or not original:
            return original
        return uid_from("pseudonym", self._digest("uid", original))

    def name(self, kind: str, original: str) -> str:
        """A short name, e.g. `P-3f9c02d1a8b4`."""
        return f"{kind}-{self._digest(kind, original)[:12]}"

    def days(self, patient: str) -> timedelta:
        """How much earlier all dates of a patient lie: 1 to 3650 days."""
        return timedelta(days=1 + int(self._digest("days", patient), 16) % _LONGEST_SHIFT)

    def _digest(self, *parts: str) -> str:
        return hmac.new(self.key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()


def shifted(value: str, days: timedelta) -> str:
    """A date or date and time (DA, DT) that many days earlier; empty where it is none.

    A DT that does not name the day (PS3.5 6.2) loses all but its year.
    """
    text = value.strip()
    with suppress(ValueError, OverflowError):
        moved = date(int(text[:4]), int(text[4:6] or 1), int(text[6:8] or 1)) - days
        return f"{moved:%Y%m%d}{text[8:]}" if len(text) >= len("YYYYMMDD") else f"{moved:%Y}"
    return ""
