"""Our own work as procedure steps for others, on SQLite and on PostgreSQL: seen, reported, claimed once."""

from datetime import timedelta

import pytest

from inference.ups import reports_sql
from inference.ups.data_set import Access
from inference.ups.reports_sql import GLOBAL
from inference.ups.steps_sql import SqlProcedureSteps
from inference.workitems import Completed, NewWorkItem, Outcome
from tests.dicomweb.worklist import STEP
from tests.inference.test_workitems import inputs, model

LEASE = timedelta(seconds=60)


@pytest.fixture
def steps(engine, archive, clock) -> SqlProcedureSteps:
    return SqlProcedureSteps(engine, archive, Access("ISOCENTER"), clock)


def heard(steps: SqlProcedureSteps) -> list[tuple[int, str]]:
    told = []
    for report in steps.reports.waiting("web", "WATCH"):
        state = report.attributes.get("00741000", {}).get("Value", [""])[0]
        told.append((report.event_type, state))
        steps.reports.received(report.id)
    return told


def test_a_worker_s_work_is_reported_and_seen_as_a_procedure_step(work, steps, clock):
    new = NewWorkItem(model(), inputs("1.1", "1.2"), clock.now)
    work.create_if_absent(new)
    steps.create(STEP, "1.2.9")
    assert steps.subscriptions.subscribe(GLOBAL, "web", "WATCH", deletion_lock=True).status == 0
    assert heard(steps) == [(1, "SCHEDULED"), (1, "SCHEDULED")]

    held = work.claim(new.uid, "worker", LEASE)
    work.progress(new.uid, held.transaction, 40, "running")
    work.complete([Completed(new.uid, held.transaction, ["2.25.9"], [], {})])
    assert heard(steps) == [(1, "IN PROGRESS"), (3, ""), (1, "COMPLETED")]

    seen = steps.retrieve(new.uid)
    (images,) = seen["00404021"]["Value"]
    assert [each["00081155"]["Value"] for each in images["00081199"]["Value"]] == [["1.1"], ["1.2"]]
    assert seen["00741204"]["Value"] == ["ct-lung-density 1"]
    assert "00081195" not in seen
    both = steps.search({"00080018": {"vr": "UI"}}).answers
    assert {each["00080018"]["Value"][0] for each in both} == {new.uid, "1.2.9"}


def test_what_an_outside_performer_has_claimed_our_workers_leave_alone(work, steps, clock):
    new = NewWorkItem(model(), inputs("1.1"), clock.now)
    work.create_if_absent(new)
    assert steps.change_state(new.uid, "IN PROGRESS", "2.25.77").status == 0
    clock.forward(3600)
    assert work.due() == ()
    assert work.claim(new.uid, "worker", LEASE) is None
    assert steps.change_state(new.uid, "CANCELED", "2.25.77").status == 0
    ended = work.get(new.uid)
    assert (ended.outcome, ended.reason) == (Outcome.FAILED, "canceled by its performer")
    again = work.again(new.uid)
    assert work.claim(again.uid, "worker", LEASE) is not None
    # What a worker of ours holds, nobody else completes.
    assert steps.change_state(again.uid, "COMPLETED", "2.25.77").status == 0xC301
    assert steps.request_cancel(again.uid, {}).status == 0


def test_what_a_performer_who_is_gone_has_claimed_can_be_canceled_all_the_same(work, steps, clock):
    new = NewWorkItem(model(), inputs("1.1"), clock.now)
    work.create_if_absent(new)
    assert steps.change_state(new.uid, "IN PROGRESS", "2.25.77").status == 0
    request = {"00741238": {"vr": "LT", "Value": ["it died"]}}
    steps.request_cancel(new.uid, request, "ADMIN")
    assert steps.retrieve(new.uid)["00741000"]["Value"] == ["IN PROGRESS"]
    assert steps.request_cancel(new.uid, request, "ADMIN", force=True).status == 0
    assert work.get(new.uid).reason == "it died"
    seen = steps.retrieve(new.uid)
    assert seen["00741000"]["Value"] == ["CANCELED"]
    # Whoever comes back after all is told.
    assert steps.change_state(new.uid, "COMPLETED", "2.25.77").status != 0


def test_reports_that_nobody_fetches_are_given_up(work, steps, clock, monkeypatch):
    for aet in ("WATCH", "AWAY"):
        steps.subscriptions.subscribe(GLOBAL, "web", aet, deletion_lock=False)
    for number in range(4):
        work.create_if_absent(NewWorkItem(model(), inputs(f"1.{number}"), clock.now))
    for _ in range(2):
        steps.reports.received(steps.reports.waiting("web", "WATCH")[0].id)
    before = {aet: [each.id for each in steps.reports.waiting("web", aet)] for aet in ("WATCH", "AWAY")}
    monkeypatch.setattr(reports_sql, "MOST_KEPT", len(before["WATCH"]))
    assert steps.reports.prune(clock.now) == len(before["AWAY"]) - len(before["WATCH"]) > 0
    assert [each.id for each in steps.reports.waiting("web", "WATCH")] == before["WATCH"]
    assert [each.id for each in steps.reports.waiting("web", "AWAY")] == before["AWAY"][2:]
    assert steps.reports.prune(clock.now + reports_sql.KEPT_FOR + timedelta(seconds=1)) > 0
    assert steps.reports.receivers("web") == []


def test_superseded_work_is_reported_as_canceled(work, steps, clock):
    work.create_if_absent(NewWorkItem(model(), inputs("1.1"), clock.now))
    steps.subscriptions.subscribe(GLOBAL, "web", "WATCH", deletion_lock=False)
    work.create_if_absent(NewWorkItem(model(), inputs("1.1", "1.2"), clock.now))
    assert heard(steps) == [(1, "IN PROGRESS"), (1, "CANCELED"), (1, "SCHEDULED"), (5, "")]
