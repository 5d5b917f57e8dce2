"""Work for a model on what the archive holds already."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from inference.selection import Selection
from inference.triggers import work_for
from inference.workitems import NewWorkItem, Priority
from models.card import Card
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.search import Query

_STUDY = "0020000D"
_STUDIES_AT_A_TIME = 500


def matching_studies(archive: Archive, query: Query) -> Iterator[str]:
    """Study Instance UIDs of all that match a query at study level, newest first.

    Read in portions; a study that arrives meanwhile may be named twice, none is left out.
    """
    offset = 0
    while True:
        page = archive.search(replace(query, limit=_STUDIES_AT_A_TIME, offset=offset))
        yield from (_uid(answer, _STUDY) for answer in page.answers)
        offset += len(page.texts)
        if not page.more:
            return


def work_of(archive: Archive, card: Card, study: str, now: datetime) -> Iterator[NewWorkItem]:
    """The work items of a model on one study, of low priority: what arrives now goes first."""
    # What was deleted, or taken out of use, since the search leads to none.
    with suppress(UnknownInstance):
        for chosen in Selection(archive).in_study(card, study):
            yield work_for(card, chosen, now, Priority.LOW)


def _uid(answer: dict[str, object], tag: str) -> str:
    return str(cast("Any", answer[tag])["Value"][0])
