"""The summaries of a result, as the settings ask for them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from pydicom import Dataset

from inference.findings import Analysis
from inference.results.context import ResultContext
from inference.results.elements import elements, elements_of
from inference.results.encoding import dates, part10
from inference.results.write import ResultObjects
from inference.summaries.capture import captures
from inference.summaries.presentation import presentation
from storage.archive import Archive
from storage.errors import StorageError

log = logging.getLogger(__name__)

Kind = Literal["sc", "gsps"]
Summarize = Callable[[ResultObjects, Analysis, Sequence[Dataset], ResultContext], ResultObjects]
"""Adds the summaries to the objects of a result: analysis, headers of its sources, work item."""


def no_summaries(
    objects: ResultObjects, _: Analysis, __: Sequence[Dataset], ___: ResultContext
) -> ResultObjects:
    """Leaves the objects as they are."""
    return objects


class Summaries:
    """Adds summaries to results (`Summarize`).

    Args:
        archive: where the images are.
        kinds: `sc`: secondary captures; `gsps`: a presentation state.
    """

    def __init__(self, archive: Archive, kinds: Sequence[Kind]) -> None:
        self._archive = archive
        self._kinds = kinds

    def __call__(
        self, objects: ResultObjects, analysis: Analysis, images: Sequence[Dataset], context: ResultContext
    ) -> ResultObjects:
        """The objects with the summaries before the report, which comes last.

        Raises:
            StorageError: the archive cannot give an image.
        """
        try:
            made = self._made(analysis, images, context)
        except StorageError:
            raise
        except Exception:
            # A picture that cannot be drawn must not cost the report.
            log.exception("work item %s: there is no summary of its result", context.work_item)
            return objects
        files = [_file(each, context.at, images[0].get("TimezoneOffsetFromUTC")) for each in made]
        uids = [str(each.SOPInstanceUID) for each in made]
        *before, report = objects.files
        return replace(objects, files=(*before, *files, report), uids=(*objects.uids, *uids))

    def _made(self, analysis: Analysis, images: Sequence[Dataset], context: ResultContext) -> list[Dataset]:
        made: list[Dataset] = []
        if "sc" in self._kinds:
            made += captures(analysis, images, self._archive, context)
        if "gsps" in self._kinds:
            made += presentation(analysis, self._archive, context)
        return made


def _file(made: Dataset, at: datetime, offset: str | None) -> bytes:
    """What highdicom made, with `at` where it asked the clock."""
    if offset:
        made.TimezoneOffsetFromUTC = offset
    moment = dates(at, offset, "InstanceCreation", "Content", "Series")
    # The last one is highdicom itself; those before it tell when the images were acquired.
    made.ContributingEquipmentSequence[-1].ContributionDateTime = (
        moment["ContentDate"] + moment["ContentTime"]
    )
    return part10(made.SOPClassUID, made.SOPInstanceUID, elements_of(made) | elements(**moment))
