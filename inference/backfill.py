"""Work for a model on what the archive holds already."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from inference.triggers import inputs_for, model_reference
from inference.workitems import NewWorkItem, Priority
from models.card import Card
from storage.archive import Archive
from storage.search import Query

_STUDY, _SERIES = "0020000D", "0020000E"
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
    for answer in archive.search(Query(level="series", study=study)).answers:
        instances = archive.instances(study, _uid(answer, _SERIES))
        headers = [json.loads(header) for header in archive.headers(instances)]
        for inputs in inputs_for(card, instances, headers):
            yield NewWorkItem(
                model_reference(card), inputs, now, Priority.LOW, resource=card.runtime.resource
            )


def _uid(answer: dict[str, object], tag: str) -> str:
    return str(cast("Any", answer[tag])["Value"][0])
