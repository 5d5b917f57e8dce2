"""Conditional requests (RFC 9110 13): the client is not sent again what it has."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from typing import Self

from fastapi import Request
from fastapi.responses import Response

from storage.instances import StoredInstance

# Answers are for one user and change when an instance is replaced: kept, but asked for again.
PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Accept"}
# RFC 9110 5.6.7: the date of today, and two that were.
_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
_SECOND = timedelta(seconds=1)
_SHOWN = timedelta(seconds=10)
"""A row is seen this long after its `stored_at` at the latest: commits take time, and clocks differ."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a resource from another (RFC 9110 8.8)."""

    etag: str
    """Changes whenever a byte changes."""
    stored_at: datetime | None = None
    """When the newest instance in it was stored; None when that is not known."""
    alone: bool = True
    """It is of one instance, which is another only when it was stored again.

    An instance that leaves a study or series, by deletion or rejection, leaves no later date in it. Of those
    the entity tag alone tells.
    """

    @classmethod
    def of(cls, instances: Sequence[StoredInstance], form: object, *, alone: bool = False) -> Self:
        """Of what is made of `instances` in a form, by its `repr`, between boundaries of chance."""
        named = ([(each.key, each.digest, each.version) for each in instances], form)
        newest = max((each.stored_at for each in instances if each.stored_at), default=None)
        return cls(f'W/"{sha256(repr(named).encode()).hexdigest()[:32]}"', newest, alone)

    @property
    def modified(self) -> datetime | None:
        """The first whole second at which nobody can have seen an earlier state."""
        return self.stored_at and (self.stored_at + _SHOWN).replace(microsecond=0) + _SECOND

    @property
    def headers(self) -> dict[str, str]:
        """ETag and Last-Modified; the latter is never in the future (RFC 9110 8.8.2.1)."""
        if (modified := self.modified) is None:
            return {"ETag": self.etag}
        last = min(modified, datetime.now(UTC))
        return {"ETag": self.etag, "Last-Modified": format_datetime(last, usegmt=True)}

    def held_by(self, request: Request) -> bool:
        """The client has this state: by If-None-Match, and only without it by If-Modified-Since (13.2.2)."""
        known = request.headers.get("if-none-match")
        if known is not None:
            tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
            return known.strip() == "*" or self.etag.removeprefix("W/") in tags
        since, modified = request.headers.get("if-modified-since"), self.modified
        if since is None or modified is None or not self.alone:
            return False
        date = http_date(since)
        return date is not None and modified <= date

    def not_modified(self, headers: Mapping[str, str] = PRIVATE) -> Response:
        """304 Not Modified."""
        return Response(status_code=304, headers={**headers, **self.headers})

    def allow_range(self, request: Request) -> bool:
        """If-Range is absent or names this very state (RFC 9110 13.1.5)."""
        known = request.headers.get("if-range")
        if known is None or known == self.etag:
            return not (known or "").startswith("W/")
        return self.alone and self.modified is not None and http_date(known) == self.modified


def http_date(text: str) -> datetime | None:
    """The moment of an HTTP-date in any of its three forms (RFC 9110 5.6.7); None when it is none."""
    for form in _DATES:
        with suppress(ValueError):
            return datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
    return None
