"""Schedules a model on studies that are stored already, no faster than told."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dicomweb.problems import BadRequest
from dicomweb.search_parameters import read_query
from inference.backfill import work_of
from inference.workitems import NewWorkItem, UnknownWorkItem
from inference.workitems_sql import SqlWorkItems, utc_now
from isocenter.settings import SettingsError
from models.card import Card
from storage.archive import Archive
from storage.search import Query


def study_query(since: str | None, conditions: Sequence[str]) -> Query:
    """A query for studies from `since` (YYYYMMDD) on that meet conditions `KEY=VALUE`, as QIDO-RS reads them.

    Raises:
        SettingsError: a condition is not KEY=VALUE, or none that can be asked for.
    """
    pairs = [condition.partition("=") for condition in conditions]
    if wrong := [key for key, sign, _ in pairs if not sign]:
        raise SettingsError(f"--query {wrong[0]}: say KEY=VALUE")
    items = [(key, value) for key, _, value in pairs]
    try:
        return read_query([*items, *([("StudyDate", f"{since}-")] if since else [])], "study")
    except BadRequest as error:
        raise SettingsError(str(error)) from None


@dataclass(slots=True)
class Counts:
    """What a back-fill came to."""

    studies: int = 0
    new: int = 0
    known: int = 0
    """Work items that were there already, done or waiting."""


class Backfill:
    """Creates the work items of one model, at most `per_minute` of them; `dry_run` only counts."""

    def __init__(
        self,
        archive: Archive,
        work: SqlWorkItems,
        card: Card,
        *,
        per_minute: int,
        dry_run: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._archive = archive
        self._work = work
        self._card = card
        self._pause = 60 / per_minute
        self._dry_run = dry_run
        self._sleep = sleep

    def over(self, studies: Iterable[str], progress: Callable[[int], None]) -> Counts:
        """Go through `studies` (Study Instance UIDs); `progress` is told how many are done."""
        counts = Counts()
        for study in studies:
            for new in work_of(self._archive, self._card, study, utc_now()):
                if self._scheduled(new):
                    counts.new += 1
                else:
                    counts.known += 1
            counts.studies += 1
            progress(counts.studies)
        return counts

    def _scheduled(self, new: NewWorkItem) -> bool:
        if self._dry_run:
            return not self._is_known(new.uid)
        created = self._work.create_if_absent(new)
        if created:
            self._sleep(self._pause)
        return created

    def _is_known(self, uid: str) -> bool:
        try:
            self._work.get(uid)
        except UnknownWorkItem:
            return False
        return True
