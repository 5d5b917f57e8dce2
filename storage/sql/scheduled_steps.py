"""The modality worklist: scheduled procedure steps, searched by keys."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from storage.instances import Origin
from storage.key_matching import Keys, date_range, exact_values, is_universal, texts
from storage.sql import events
from storage.sql.engine import reading, writing
from storage.sql.workflow_tables import scheduled_steps
from storage.worklist import (
    ACCESSION,
    OVER,
    PATIENT_ID,
    START_DATE,
    START_TIME,
    STATUS,
    STEP_ID,
    STEPS,
    STUDY,
    ScheduledStep,
    State,
    TakenStep,
)

_PAGE = 500
_ROW = scheduled_steps.c


class SqlWorklist:
    """Entries by Study Instance UID and Scheduled Procedure Step ID.

    Every method raises `StorageDown` when the database does not answer.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, step: ScheduledStep) -> None:
        """Schedule. Raises `TakenStep`."""
        told = events.values("step.scheduled", (step.study, "", None), None, Origin("worklist", step.station))
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(scheduled_steps).values(_values(step)))
                events.write(connection, [told])
        except IntegrityError as error:
            raise TakenStep(f"step {step.step_id} of study {step.study} is scheduled already") from error

    def replace(self, step: ScheduledStep) -> bool:
        """Give an entry other attributes; False when there is none."""
        with writing(self._engine) as connection:
            changed = update(scheduled_steps).where(_is(step.study, step.step_id)).values(_values(step))
            return connection.execute(changed).rowcount == 1

    def remove(self, study: str, step_id: str) -> bool:
        """Take an entry off; False when there is none."""
        with writing(self._engine) as connection:
            return connection.execute(delete(scheduled_steps).where(_is(study, step_id))).rowcount == 1

    def get(self, study: str, step_id: str) -> ScheduledStep | None:
        """One entry."""
        query = select(_ROW.attributes).where(_is(study, step_id))
        with reading(self._engine) as connection:
            found = connection.execute(query).scalar()
        return None if found is None else ScheduledStep(found)

    def of_study(self, study: str) -> list[ScheduledStep]:
        """All entries of a study, in the order in which they were made."""
        query = select(_ROW.attributes).where(_ROW.study_uid == study).order_by(_ROW.id)
        with reading(self._engine) as connection:
            return [ScheduledStep(found) for found in connection.execute(query).scalars()]

    def search(self, identifier: Mapping[str, Any], *, fuzzy: bool = False) -> Iterator[ScheduledStep]:
        """Entries that match the keys of an identifier, in order of their start.

        What is over is found only by a key for its status.

        Args:
            identifier: in the DICOM JSON Model.
            fuzzy: person names match by the beginnings of their words, too.

        Raises:
            InvalidQuery: a key makes no sense.
        """
        keys = Keys(identifier, moments=[(START_DATE, START_TIME)], fuzzy=fuzzy)
        return self._found(keys, _narrowed(identifier))

    def _found(self, keys: Keys, conditions: list[ColumnElement[bool]]) -> Iterator[ScheduledStep]:
        order = (_ROW.start_date, _ROW.start_time, _ROW.id)
        query = select(scheduled_steps).where(*conditions).order_by(*order).limit(_PAGE)
        after: tuple[Any, ...] | None = None
        while True:
            page = query if after is None else query.where(tuple_(*order) > tuple_(*after))
            with reading(self._engine) as connection:
                rows = connection.execute(page).all()
            yield from (ScheduledStep(row.attributes) for row in rows if keys.match(row.attributes))
            if len(rows) < _PAGE:
                return
            after = (rows[-1].start_date, rows[-1].start_time, rows[-1].id)


def set_state(connection: Connection, study: str, step_id: str, state: State) -> None:
    """Change the status of an entry, if there is one, in the transaction of `connection`."""
    query = select(_ROW.attributes).where(_is(study, step_id)).with_for_update()
    found = connection.execute(query).scalar()
    if found is not None:
        step = ScheduledStep(found).now(state)
        connection.execute(update(scheduled_steps).where(_is(study, step_id)).values(_values(step)))


def _is(study: str, step_id: str) -> ColumnElement[bool]:
    return and_(_ROW.study_uid == study, _ROW.step_id == step_id)


def _values(step: ScheduledStep) -> dict[str, Any]:
    def first(attributes: Mapping[str, Any], tag: str) -> str:
        return next(iter(texts(attributes.get(tag) or {})), "")

    return {
        "study_uid": step.study,
        "step_id": step.step_id,
        "state": step.state,
        "start_date": first(step.step, START_DATE),
        "start_time": first(step.step, START_TIME),
        "patient_id": first(step.attributes, PATIENT_ID),
        "accession": first(step.attributes, ACCESSION),
        "attributes": step.attributes,
        "changed_at": datetime.now(UTC),
    }


def _narrowed(identifier: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """What the database can tell of the keys; the data set decides."""
    low, high = date_range(identifier, STEPS, START_DATE)
    conditions = [_ROW.start_date >= low, _ROW.start_date <= high]
    columns: tuple[tuple[tuple[str, ...], ColumnElement[str]], ...] = (
        ((STUDY,), _ROW.study_uid),
        ((PATIENT_ID,), _ROW.patient_id),
        ((ACCESSION,), _ROW.accession),
        ((STEPS, STEP_ID), _ROW.step_id),
    )
    for path, column in columns:
        values = exact_values(identifier, *path)
        if values is not None:
            conditions.append(column.in_(values))
    items = (identifier.get(STEPS) or {}).get("Value") or [None]
    if is_universal((items[0] or {}).get(STATUS) or {"vr": "CS"}):
        conditions.append(_ROW.state.not_in(sorted(OVER)))
    return conditions
