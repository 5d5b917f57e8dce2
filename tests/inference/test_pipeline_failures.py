"""Whatever happens to a worker, each work item comes to one result or to a reason."""

import threading

import pytest

from inference.findings_sql import SqlFindings
from inference.pipeline import Pipeline
from inference.workitems import Outcome, State
from models.errors import OutOfMemory
from storage.errors import StorageDown
from tests.inference.analyses import STUDY, ct_series


class Killed(BaseException):
    """The worker ends here."""


def kill(monkeypatch, target, name: str, *, after: int = 0, when: str = "before") -> None:
    """Let the worker die at call number `after` (from 0) of a method."""
    real, calls = getattr(target, name), iter(range(1000))

    def dying(*arguments, **options):
        if next(calls) < after:
            return real(*arguments, **options)
        if when == "after":
            real(*arguments, **options)
        raise Killed

    monkeypatch.setattr(target, name, dying)


@pytest.mark.parametrize(
    ("target", "name", "after", "when"),
    [
        ("runtime", "run_all", 0, "after"),
        ("spool", "new", 0, "before"),
        ("spool", "new", 1, "before"),
        ("work", "complete", 0, "before"),
        ("work", "complete", 0, "after"),
    ],
    ids=[
        "after the model",
        "before storing",
        "between mask and report",
        "before completing",
        "after completing",
    ],
)
def test_a_worker_killed_at_any_step_leaves_one_result(
    request, pipeline, *, scheduled, files, work, monkeypatch, engine, clock, target, name, after, when
):
    (uid,) = scheduled(ct_series(4))
    with monkeypatch.context() as patch:
        kill(patch, request.getfixturevalue(target), name, after=after, when=when)
        with pytest.raises(Killed):
            pipeline.run(uid)
    left = files() if when == "before" else {}
    clock.forward(61)
    item = pipeline.run(uid)

    assert item.state is State.COMPLETED
    assert set(files()) == set(item.results)
    assert left.items() <= files().items()
    records = SqlFindings(engine).of_study(STUDY)
    assert [(r.key, r.result) for r in records] == [("dark", item.results[0])]


def test_a_second_worker_over_the_same_images_writes_the_same_bytes(
    pipeline, scheduled, *, files, archive, work, deliver, clock, monkeypatch
):
    """Everything is lost between storing the results and knowing it, even that they were stored."""
    (uid,) = scheduled(ct_series(4))
    with monkeypatch.context() as patch:
        kill(patch, work, "complete")
        with pytest.raises(Killed):
            pipeline.run(uid)
    first = files()
    for sop in first:
        key = archive.instance(sop).key
        archive.delete(key.study, key.series, key.sop)
    clock.forward(61)
    pipeline.run(uid)

    assert files() == first


def test_a_store_that_does_not_answer_is_tried_again_and_costs_no_attempt(
    pipeline, scheduled, *, work, archive, clock, monkeypatch
):
    (uid,) = scheduled(ct_series(4))

    def down(*_):
        raise StorageDown("the bucket did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "frame", down)
        waits = []
        for _ in range(5):
            item = pipeline.run(uid)
            assert (item.state, item.reason) == (State.IN_PROGRESS, "the bucket did not answer")
            waits.append((item.due_at - clock.now).total_seconds())
            assert work.due() == ()
            clock.forward(waits[-1])
    assert waits == sorted(waits)
    assert waits[-1] > waits[0]
    assert work.due() == (uid,)
    assert pipeline.run(uid).state is State.COMPLETED


def test_a_model_that_finds_no_memory_is_tried_a_few_times_and_then_parked(
    pipeline, scheduled, *, work, runtime, clock, monkeypatch
):
    (uid,) = scheduled(ct_series(4))

    def broken(*_):
        raise OutOfMemory("dark 1.0.0 failed: out of memory")

    monkeypatch.setattr(runtime, "run_all", broken)
    states = []
    for _ in range(3):
        item = pipeline.run(uid)
        states.append(item.state)
        clock.forward(600)

    assert states == [State.IN_PROGRESS, State.IN_PROGRESS, State.CANCELED]
    assert (item.outcome, item.reason) == (
        Outcome.FAILED,
        "OutOfMemory: dark 1.0.0 failed: out of memory",
    )
    assert work.due() == ()


def test_an_input_that_kills_its_worker_each_time_is_parked(
    pipeline, scheduled, *, work, runtime, clock, monkeypatch
):
    (uid,) = scheduled(ct_series(4))
    kill(monkeypatch, runtime, "run_all")
    for _ in range(3):
        with pytest.raises(Killed):
            pipeline.run(uid)
        clock.forward(61)
    item = pipeline.run(uid)

    assert (item.state, item.outcome) == (State.CANCELED, Outcome.FAILED)
    assert "given up after 3 tries" in item.reason
    assert work.due() == ()


def test_the_lease_is_kept_while_the_model_runs(
    archive, spool, *, work, catalog, runtime, scheduled, monkeypatch
):
    """The model takes several leases' time; nobody else gets the item."""
    (uid,) = scheduled(ct_series(4))
    renewed = threading.Event()
    real_renew, real_run = work.renew, runtime.run_all

    def renew(*arguments):
        real_renew(*arguments)
        renewed.set()

    def run(*arguments):
        assert renewed.wait(30)
        return real_run(*arguments)

    monkeypatch.setattr(work, "renew", renew)
    monkeypatch.setattr(runtime, "run_all", run)

    assert (
        Pipeline(archive, spool, work, catalog, runtime, lease_seconds=0.3).run(uid).state is State.COMPLETED
    )


def test_work_withdrawn_while_the_model_runs_stores_nothing(
    archive, spool, *, work, catalog, runtime, scheduled, files, monkeypatch
):
    (uid,) = scheduled(ct_series(4))
    real = runtime.run_all

    def run(*arguments):
        work.cancel(uid, "wrong patient")
        return real(*arguments)

    monkeypatch.setattr(runtime, "run_all", run)
    item = Pipeline(archive, spool, work, catalog, runtime, clock=work._clock).run(uid)

    assert (item.outcome, item.reason) == (Outcome.WITHDRAWN, "wrong patient")
    assert files() == {}


def test_heartbeats_end_with_the_run(pipeline, scheduled):
    (uid,) = scheduled(ct_series(4))
    pipeline.run(uid)

    assert [thread.name for thread in threading.enumerate() if "heartbeat" in thread.name] == []
