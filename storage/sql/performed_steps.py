"""Performed procedure steps: what modalities report, and which instances a series should have."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.instances import Origin
from storage.performed import FINAL, PerformedStep
from storage.sql import events
from storage.sql.engine import reading, writing
from storage.sql.scheduled_steps import set_state
from storage.sql.tables import instances
from storage.sql.workflow_tables import performed_series, performed_steps
from storage.worklist import State

_STATES: dict[str, State] = {
    "IN PROGRESS": "STARTED",
    "COMPLETED": "COMPLETED",
    "DISCONTINUED": "DISCONTINUED",
}
"""Of the scheduled step, by that of the performed one."""
_AT_ONCE = 500


class SqlPerformedSteps:
    """Steps by SOP Instance UID; what they say of the worklist changes with them, in one transaction.

    Every method raises `StorageDown` when the database does not answer.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, step: PerformedStep) -> bool:
        """Keep a new step; False when its UID is taken."""
        now = datetime.now(UTC)
        values = {"sop_uid": step.sop, "peer": step.peer, "created_at": now}
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(performed_steps).values(values | _changing(step)))
                _tell_worklist(connection, step)
        except IntegrityError:
            return False
        return True

    def get(self, sop: str) -> PerformedStep | None:
        """One step."""
        with reading(self._engine) as connection:
            row = connection.execute(select(performed_steps).where(performed_steps.c.sop_uid == sop)).first()
        return PerformedStep(row.sop_uid, row.attributes, row.peer, row.version) if row else None

    def replace(self, step: PerformedStep) -> bool:
        """Keep the next version of a step; False when another was faster."""
        before = and_(performed_steps.c.sop_uid == step.sop, performed_steps.c.version == step.version - 1)
        with writing(self._engine) as connection:
            if not connection.execute(update(performed_steps).where(before).values(_changing(step))).rowcount:
                return False
            _tell_worklist(connection, step)
            if step.state in FINAL:
                _tell_series(connection, step)
        return True

    def of_series(self, series: Sequence[str]) -> dict[str, str]:
        """SOP Instance UID of an ended step that lists a series, by the series' UID."""
        row = performed_series.c
        found: dict[str, str] = {}
        with reading(self._engine) as connection:
            for at in range(0, len(series), _AT_ONCE):
                here = row.series_uid.in_(series[at : at + _AT_ONCE])
                query = select(row.series_uid, row.step_uid).where(here).order_by(row.step_uid)
                found |= {each.series_uid: each.step_uid for each in connection.execute(query)}
        return found

    def missing(self, series: str) -> int | None:
        """How many of the instances that ended steps list are not stored; None when none lists the series."""
        query = select(performed_series.c.instances).where(performed_series.c.series_uid == series)
        with reading(self._engine) as connection:
            listed = {sop for (sops,) in connection.execute(query) for sop in sops}
            return len(listed) - _stored(connection, sorted(listed)) if listed else None


def _changing(step: PerformedStep) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "state": step.state,
        "attributes": step.attributes,
        "changed_at": now,
        "version": step.version,
    }


def _tell_worklist(connection: Connection, step: PerformedStep) -> None:
    for study, step_id in sorted(step.scheduled):
        set_state(connection, study, step_id, _STATES[step.state])


def _tell_series(connection: Connection, step: PerformedStep) -> None:
    series = step.series()
    for uid, sops in series.items():
        values = {"series_uid": uid, "step_uid": step.sop, "instances": sops}
        connection.execute(insert(performed_series).values(values))
    origin = Origin("dimse", step.peer)
    told = [events.values("series.performed", (step.study, uid, None), None, origin) for uid in series]
    if told:
        events.write(connection, told)


def _stored(connection: Connection, sops: list[str]) -> int:
    found = 0
    for at in range(0, len(sops), _AT_ONCE):
        some = sops[at : at + _AT_ONCE]
        found += len(connection.execute(select(instances.c.id).where(instances.c.sop_uid.in_(some))).all())
    return found
