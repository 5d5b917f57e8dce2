"""The work list: legal transitions, one holder at a time, nothing lost; on SQLite and on PostgreSQL."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from inference.findings import Code, Measurement, Score
from inference.findings_sql import SqlFindings
from inference.inputs import InputImages, Inputs
from inference.records import FindingRecord, Region, SegmentReference
from inference.tables import work_items
from inference.waiting_sql import _part
from inference.workitems import (
    FINAL,
    TRANSITIONS,
    Completed,
    IllegalTransition,
    LeaseLost,
    ModelReference,
    NewWorkItem,
    Outcome,
    Priority,
    State,
    UnknownWorkItem,
)
from storage.instances import InstanceKey, StoredInstance
from storage.sql.engine import writing

LEASE = timedelta(seconds=60)
CT = StoredInstance(InstanceKey("1.2", "1.2.3", "1.2.3.4"), "", "", 1, "", "")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def model(name="ct-lung-density", version="1", file="file", card="card") -> ModelReference:
    return ModelReference(name, version, digest(file), digest(card))


def inputs(*sops: str, study="1.2", series="1.2.3", data="data") -> Inputs:
    return Inputs.of_series(
        [StoredInstance(InstanceKey(study, series, sop), "", "", 1, digest(data + sop), "") for sop in sops]
    )


def test_the_images_of_every_input_are_kept(work, clock):
    def images(study, series, name="", note=""):
        keys = [InstanceKey(study, series, f"{series}.{number}") for number in (1, 2)]
        return InputImages(tuple(StoredInstance(k, "1.2.840", "", 1, k.sop, "") for k in keys), name, note)

    given = [
        images("1.2", "1.2.3"),
        images("1.2", "1.2.4", "flair", "of two"),
        images("1.1", "1.1.3", "prior"),
    ]
    new = NewWorkItem(model(), Inputs.of(given), clock.now)
    work.create_if_absent(new)
    assert work.inputs(new.uid) == new.inputs
    assert [(p.study, p.series, p.name, p.note) for p in work.inputs(new.uid).parts] == [
        ("1.2", "1.2.3", "", ""),
        ("1.2", "1.2.4", "flair", "of two"),
        ("1.1", "1.1.3", "prior", ""),
    ]
    assert (
        Inputs.of(given[:2]).fingerprint != Inputs.of([given[0], images("1.2", "1.2.4", "dwi")]).fingerprint
    )


@pytest.fixture
def scheduled(work, clock):
    """Schedules work; tells its UID."""

    def schedule(*sops: str, of=None, priority=Priority.MEDIUM, due_in=0.0, **changes) -> str:
        due_at = clock.now + timedelta(seconds=due_in)
        new = NewWorkItem(of or model(), inputs(*(sops or ("1.1", "1.2")), **changes), due_at, priority)
        work.create_if_absent(new)
        return new.uid

    return schedule


def finding(uid: str, **changes) -> FindingRecord:
    values = {
        "work_item": uid,
        "study": "1.2",
        "series": "1.2.3",
        "result": "2.25.9",
        "model": "ct-lung-density",
        "version": "1",
        "key": "nodule 1",
        "tracking_uid": "2.25.10",
        "code": Code("27925004", "SCT", "Nodule"),
        "presence": "present",
    }
    return FindingRecord(**values | changes)


def test_the_same_work_is_one_item_however_often_and_in_whatever_order_it_is_asked_for(work, clock):
    first = NewWorkItem(model(), inputs("1.1", "1.2", "1.10"), clock.now)
    again = NewWorkItem(model(), inputs("1.10", "1.2", "1.1"), clock.now + LEASE)

    assert work.create_if_absent(first)
    assert not work.create_if_absent(again)
    assert [item.uid for item in work.list()] == [first.uid]
    assert work.inputs(first.uid) == first.inputs


@pytest.mark.parametrize(
    "other",
    [
        NewWorkItem(model(file="newer file"), inputs("1.1"), None),
        NewWorkItem(model(card="other threshold"), inputs("1.1"), None),
        NewWorkItem(model(), inputs("1.1", "1.2"), None),
        NewWorkItem(model(), inputs("1.1", data="replaced"), None),
    ],
    ids=["model file", "card", "more images", "replaced image"],
)
def test_another_model_or_other_images_are_other_work(other):
    assert other.uid != NewWorkItem(model(), inputs("1.1"), None).uid


def test_every_field_survives_the_database(work, scheduled, clock):
    uid = scheduled("1.1", "1.2", priority=Priority.HIGH)
    item = work.get(uid)

    assert (item.model, item.study, item.series, item.instances) == (model(), "1.2", "1.2.3", 2)
    assert (item.priority, item.state, item.created_at) == (Priority.HIGH, State.SCHEDULED, clock.now)
    assert item.as_json()["created_at"] == clock.now.isoformat()


def test_unknown_work_items_are_named(work):
    with pytest.raises(UnknownWorkItem, match=r"2\.25\.1"):
        work.get("2.25.1")
    with pytest.raises(UnknownWorkItem, match=r"2\.25\.1"):
        work.inputs("2.25.1")


def test_work_that_is_not_due_is_not_given_out(work, scheduled, clock):
    uid = scheduled(due_in=10)

    assert work.due() == ()
    assert work.claim(uid, "w", LEASE) is None
    clock.forward(10)
    assert work.due() == (uid,)
    assert work.claim(uid, "w", LEASE).state is State.IN_PROGRESS


def test_the_most_urgent_work_comes_first(work, scheduled):
    low = scheduled(series="1.1", priority=Priority.LOW)
    high = scheduled(series="1.2", priority=Priority.HIGH)
    medium = scheduled(series="1.3")

    assert work.due() == (high, medium, low)
    assert work.due(limit=1) == (high,)


def test_an_urgent_item_is_found_as_fast_when_ten_thousand_wait(engine, work, scheduled):
    """What is read is bounded by the limit: the index gives the order."""
    copied = scheduled()
    with writing(engine) as connection:
        row = {**connection.execute(select(work_items).where(work_items.c.uid == copied)).mappings().one()}
        connection.execute(insert(work_items), [row | {"uid": f"2.25.{n}"} for n in range(10_000)])
    urgent = scheduled(series="1.9", priority=Priority.HIGH)

    assert work.due(limit=3)[0] == urgent
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE work_items")
        query = select(_part(State.SCHEDULED, "cpu", work._clock(), 3))
        said = query.compile(engine, compile_kwargs={"literal_binds": True})
        explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        plan = str(connection.exec_driver_sql(f"{explain} {said}").all())
    assert "ix_work_items_" in plan
    assert "B-TREE" not in plan
    assert "Sort" not in plan


def test_only_one_of_many_workers_gets_the_item(work, scheduled):
    uids = [scheduled(series=f"1.3.{number}") for number in range(5)]
    start = threading.Barrier(4)

    def claim(worker: int) -> list[str]:
        start.wait()
        return [uid for uid in uids if work.claim(uid, f"worker {worker}", LEASE)]

    with ThreadPoolExecutor(4) as workers:
        claimed = [uid for got in workers.map(claim, range(4)) for uid in got]

    assert sorted(claimed) == sorted(uids)


def test_a_dead_workers_item_is_taken_over_when_its_lease_has_run_out(work, scheduled, clock):
    uid = scheduled()
    dead = work.claim(uid, "dead", LEASE)
    assert work.claim(uid, "next", LEASE) is None

    clock.forward(61)
    assert work.due() == (uid,)
    heir = work.claim(uid, "next", LEASE)

    assert heir.attempts == 2
    assert heir.started_at == dead.started_at
    for late in (
        lambda: work.renew(uid, dead.transaction, LEASE),
        lambda: work.progress(uid, dead.transaction, 50),
        lambda: work.complete([Completed(uid, dead.transaction, ["2.25.9"], [finding(uid)], {})]),
        lambda: work.end(uid, dead.transaction, Outcome.FAILED, "no"),
    ):
        with pytest.raises(LeaseLost):
            late()
    assert work.get(uid) == heir


def test_a_renewed_lease_holds(work, scheduled, clock):
    uid = scheduled()
    held = work.claim(uid, "w", LEASE)
    clock.forward(59)
    work.renew(uid, held.transaction, LEASE)
    work.progress(uid, held.transaction, 40, "model")
    clock.forward(59)

    assert work.claim(uid, "other", LEASE) is None
    assert (work.get(uid).progress, work.get(uid).progress_note) == (40, "model")


def test_completion_brings_the_findings_and_ends_the_item(work, scheduled, engine, clock):
    uid = scheduled()
    record = finding(
        uid,
        site=Code("39607008", "SCT", "Lung"),
        laterality=Code("24028007", "SCT", "Right"),
        score=Score(0.9072, Code("111012", "DCM", "Certainty of Finding")),
        measurements=(
            Measurement(Code("81827009", "SCT", "Diameter"), 6.1, Code("mm", "UCUM", "mm")),
            Measurement(
                Code("112031", "DCM", "Attenuation Coefficient"),
                -868.4612346,
                Code("[hnsf'U]", "UCUM", "HU"),
                derivation=Code("373098007", "SCT", "Mean"),
            ),
        ),
        region=Region("point", "1.2.3.4", 1, (10.25, 12.75)),
        segment=SegmentReference("2.25.11", 2),
        note="Candidate, 候補",
        flags=("the lung meets the edge",),
    )
    held = work.claim(uid, "w", LEASE)
    clock.forward(3)
    findings = [record, finding(uid)]
    (done,) = work.complete(
        [Completed(uid, held.transaction, ["2.25.9", "2.25.11"], findings, {"model": 1.5})]
    )

    assert (done.state, done.outcome, done.progress) == (State.COMPLETED, Outcome.RESULTS, 100)
    assert (done.results, done.timings, done.finished_at) == (
        ("2.25.9", "2.25.11"),
        {"model": 1.5},
        clock.now,
    )
    assert done.transaction == held.transaction
    assert SqlFindings(engine).of_study("1.2") == (record, finding(uid))


def test_a_transient_failure_is_tried_again_later_and_stays_in_progress(work, scheduled, clock):
    uid = scheduled()
    held = work.claim(uid, "w", LEASE)
    item = work.retry(uid, held.transaction, "the bucket did not answer", clock.now + timedelta(seconds=20))

    assert (item.state, item.reason) == (State.IN_PROGRESS, "the bucket did not answer")
    assert work.due() == ()
    clock.forward(20)
    assert work.due() == (uid,)
    again = work.claim(uid, "w", LEASE)
    assert again.attempts == 2
    work.retry(uid, again.transaction, "not its fault", clock.now, counts=False)
    assert work.claim(uid, "w", LEASE).attempts == 2


def test_a_final_failure_cancels_with_its_reason(work, scheduled, clock):
    uid = scheduled()
    held = work.claim(uid, "w", LEASE)
    item = work.end(uid, held.transaction, Outcome.REFUSED, "2 slices missing")
    clock.forward(1000)

    assert (item.state, item.outcome, item.reason) == (
        State.CANCELED,
        Outcome.REFUSED,
        "2 slices missing",
    )
    assert work.due() == ()
    assert work.claim(uid, "w", LEASE) is None


def test_late_images_supersede_and_what_has_not_begun_is_cancelled(work, scheduled, clock):
    begun = scheduled("1.1")
    work.claim(begun, "w", LEASE)
    clock.forward(1)
    waiting = scheduled("1.1", "1.2")
    clock.forward(1)
    latest = scheduled("1.1", "1.2", "1.3")

    assert work.get(begun).state is State.IN_PROGRESS
    assert (work.get(waiting).state, work.get(waiting).outcome) == (State.CANCELED, Outcome.SUPERSEDED)
    assert latest in work.get(waiting).reason
    assert work.get(latest).predecessor == waiting
    assert work.get(waiting).predecessor == begun


def test_other_series_and_other_models_are_not_superseded(work, scheduled):
    first = scheduled("1.1")
    scheduled("1.1", of=model("ct-nodule-candidates"))
    scheduled("1.1", series="1.9")

    assert work.get(first).state is State.SCHEDULED
    assert {item.predecessor for item in work.list()} == {None}


def test_images_that_are_inputs_of_their_own_do_not_supersede_each_other(work, clock):
    films = [
        StoredInstance(InstanceKey("1.2", "1.2.3", sop), "", "", 1, digest(sop), "") for sop in ("1.1", "1.2")
    ]
    for film in films:
        work.create_if_absent(NewWorkItem(model(), Inputs.of_instance(film), clock.now))

    assert {item.state for item in work.list()} == {State.SCHEDULED}
    assert {item.predecessor for item in work.list()} == {None}


def test_findings_of_superseded_reports_are_shown_only_on_request(work, scheduled, engine, clock):
    reports = SqlFindings(engine)
    for sops, result in ((("1.1",), "2.25.1"), (("1.1", "1.2"), "2.25.2")):
        uid = scheduled(*sops)
        held = work.claim(uid, "w", LEASE)
        work.complete([Completed(uid, held.transaction, [result], [finding(uid, result=result)], {})])
        clock.forward(1)

    assert [record.result for record in reports.of_study("1.2")] == ["2.25.2"]
    assert [record.result for record in reports.of_study("1.2", superseded=True)] == ["2.25.1", "2.25.2"]


def test_a_report_indexed_again_has_its_rows_once(engine):
    reports = SqlFindings(engine)
    for _ in range(2):
        reports.replace_report("2.25.9", [finding("2.25.5"), finding("2.25.5", key="nodule 2")])

    assert [record.key for record in reports.of_study("1.2")] == ["nodule 1", "nodule 2"]


def test_studies_are_found_by_what_is_present_in_them(engine):
    reports = SqlFindings(engine)
    certainty = Code("111012", "DCM", "Certainty of Finding")
    reports.replace_report("2.25.1", [finding("2.25.5", study="1.1", score=Score(0.9, certainty))])
    reports.replace_report("2.25.2", [finding("2.25.6", study="1.2", score=Score(0.2, certainty))])
    reports.replace_report("2.25.3", [finding("2.25.7", study="1.3", presence="absent")])

    assert reports.studies_with("27925004") == ("1.1", "1.2")
    assert reports.studies_with("27925004", min_score=0.5) == ("1.1",)


def test_withdrawn_work_is_not_completed_by_whoever_held_it(work, scheduled, engine):
    uid = scheduled()
    held = work.claim(uid, "w", LEASE)
    work.cancel(uid, "wrong patient")

    with pytest.raises(LeaseLost):
        work.complete([Completed(uid, held.transaction, ["2.25.9"], [finding(uid)], {})])
    assert (work.get(uid).outcome, work.get(uid).reason) == (Outcome.WITHDRAWN, "wrong patient")
    assert SqlFindings(engine).of_study("1.2") == ()
    with pytest.raises(IllegalTransition, match="CANCELED"):
        work.cancel(uid, "again")


def test_lists_are_filtered_and_counted(work, scheduled, clock):
    first = scheduled(study="1.5", series="1.6")
    clock.forward(1)
    second = scheduled(of=model("ct-nodule-candidates"))
    work.cancel(first, "test")

    assert [item.uid for item in work.list()] == [second, first]
    assert [item.uid for item in work.list(states=[State.CANCELED])] == [first]
    assert [item.uid for item in work.list(study="1.2")] == [second]
    assert [item.uid for item in work.list(series="1.6")] == [first]
    assert [item.uid for item in work.list(model="ct-nodule-candidates")] == [second]
    assert [item.uid for item in work.list(limit=1, offset=1)] == [first]
    assert work.counts() == {
        State.SCHEDULED: 1,
        State.IN_PROGRESS: 0,
        State.COMPLETED: 0,
        State.CANCELED: 1,
    }


def test_the_states_are_those_of_the_standard():
    """PS3.4 table CC.1.1-2: no way back, and nothing ends that has not begun."""
    assert set(TRANSITIONS) == set(State)
    assert TRANSITIONS[State.SCHEDULED] == {State.IN_PROGRESS}
    assert TRANSITIONS[State.IN_PROGRESS] == FINAL == {State.COMPLETED, State.CANCELED}
