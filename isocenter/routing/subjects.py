"""What rules look at: the header of an instance, or an entry of the modality worklist in its place."""

import json
from collections.abc import Sequence

from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.events import Event
from storage.instances import StoredInstance
from storage.pixels.attributes import Attributes
from storage.sql.scheduled_steps import SqlWorklist
from storage.worklist import MODALITY, START_DATE, ScheduledStep

_STUDY_DATE = "00080020"


class Subjects:
    """What is known of studies, stored or scheduled. Every method raises `StorageDown`."""

    def __init__(self, archive: Archive, worklist: SqlWorklist) -> None:
        self._archive = archive
        self._worklist = worklist

    def of(self, event: Event) -> tuple[Attributes, str] | None:
        """Attributes and SOP Class UID, if any, of what an event is about; None when it is gone."""
        if event.sop is None:
            return self._scheduled(event.study)
        try:
            return self._stored([self._archive.instance(event.sop)])
        except UnknownInstance:
            return None

    def of_study(self, study: str) -> Attributes | None:
        """Attributes of a study: of its first instance, else of what is scheduled; None: there is none."""
        try:
            return self._stored(self._archive.instances(study)[:1])[0]
        except UnknownInstance:
            scheduled = self._scheduled(study)
        return scheduled[0] if scheduled else None

    def _stored(self, instances: Sequence[StoredInstance]) -> tuple[Attributes, str]:
        return json.loads(next(self._archive.headers(instances))), instances[0].sop_class

    def _scheduled(self, study: str) -> tuple[Attributes, str] | None:
        steps = self._worklist.of_study(study)
        return (_as_study(steps[-1]), "") if steps else None


def _as_study(scheduled: ScheduledStep) -> Attributes:
    """The attributes that the study will have."""
    step = scheduled.step
    return scheduled.attributes | {MODALITY: step[MODALITY], _STUDY_DATE: step[START_DATE] | {"vr": "DA"}}
