"""A work item is carried out once, and ends with results or with a reason."""

import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pydicom
import pytest

from inference.findings_sql import SqlFindings
from inference.orders import Orders
from inference.pipeline import Pipeline
from inference.results.reading import read_findings
from inference.triggers import Triggers
from inference.workitems import Outcome, State, UnknownWorkItem
from models.catalog import Catalog
from models.errors import OutOfMemory
from storage.errors import StorageDown
from storage.search import Query
from tests.inference.analyses import SERIES, STUDY, ct_header, ct_series, film_header
from tests.inference.packages import dark_package

DARK = 8 * 16
"""Dark pixels of one slice."""


class Killed(BaseException):
    """The worker ends here."""


@pytest.fixture
def pipeline(archive, spool, *, work, catalog, runtime, clock) -> Pipeline:
    return Pipeline(archive, spool, work, catalog, runtime, clock=clock)


@pytest.fixture
def scheduled(archive, work, catalog, clock, deliver):
    """Stores images and tells the UIDs of the work items they lead to."""

    def schedule(headers) -> list[str]:
        deliver(headers)
        return Triggers(archive, work, catalog, clock=clock).poll()

    return schedule


@pytest.fixture
def files(archive):
    """The bytes of everything in the study that is a result."""

    def read(study: str = STUDY) -> dict[str, bytes]:
        found = {}
        for instance in archive.instances(study):
            if instance.key.series != SERIES:
                with archive.open(instance) as file:
                    found[instance.key.sop] = file.read()
        return found

    return read


def test_a_series_comes_back_with_a_report_a_mask_and_findings(pipeline, scheduled, files, engine, archive):
    (uid,) = scheduled(ct_series(4))
    item = pipeline.run(uid)

    assert (item.state, item.outcome) == (State.COMPLETED, Outcome.RESULTS)
    sr, seg = (pydicom.dcmread(BytesIO(files()[sop])) for sop in item.results)
    assert (sr.Modality, seg.Modality, seg.NumberOfFrames) == ("SR", "SEG", 4)
    records = SqlFindings(engine).of_study(STUDY)
    assert [(r.key, r.measurements[0].value) for r in records] == [("dark", 4 * DARK)]
    assert list(records) == read_findings(sr)
    modalities = {
        answer["00080060"]["Value"][0] for answer in archive.search(Query("series", study=STUDY)).answers
    }
    assert modalities == {"CT", "SR", "SEG"}


def test_results_are_not_input_of_models(pipeline, scheduled, *, archive, work, catalog, clock):
    (uid,) = scheduled(ct_series(4))
    pipeline.run(uid)
    clock.forward(60)

    assert Triggers(archive, work, catalog, clock=clock).poll() == []


def test_a_film_is_classified(pipeline, scheduled, engine):
    (uid,) = scheduled([film_header()])
    item = pipeline.run(uid)

    (record,) = SqlFindings(engine).of_study(STUDY)
    assert item.outcome is Outcome.RESULTS
    assert (record.code.value, record.image.sop) == ("bright", film_header().SOPInstanceUID)


def test_work_that_is_done_is_not_done_again(pipeline, scheduled, files, engine):
    (uid,) = scheduled(ct_series(4))
    done = pipeline.run(uid)
    before = files()

    assert pipeline.run(uid) == done
    assert files() == before
    assert len(SqlFindings(engine).of_study(STUDY)) == 1


def test_the_most_urgent_work_is_next(pipeline, scheduled, work, *, catalog, archive):
    (routine,) = scheduled(ct_series(4))
    archive_of = {"StudyInstanceUID": "2.25.200", "SeriesInstanceUID": "2.25.201"}
    scheduled(ct_series(4, **archive_of))
    (urgent,) = (uid for uid in work.due() if uid != routine)
    work.cancel(urgent, "ordered as urgent instead")
    (ordered,) = Orders(archive, work, catalog, work._clock).run("dark", "2.25.200")

    assert pipeline.run_next(["gpu"]) is None
    assert [pipeline.run_next().uid for _ in range(2)] == [ordered.item.uid, routine]
    assert pipeline.run_next() is None


def test_unknown_work_is_an_error(pipeline):
    with pytest.raises(UnknownWorkItem):
        pipeline.run("2.25.1")


def test_timings_tell_the_model_from_the_rest(pipeline, scheduled, clock):
    (uid,) = scheduled(ct_series(4))
    clock.forward(7)
    timings = pipeline.run(uid).timings

    assert timings["queue"] == 7
    assert set(timings) == {
        "completeness",
        "queue",
        "prepare",
        "model",
        "turn",
        "interpret",
        "results",
        "store",
    }
    assert all(seconds >= 0 for seconds in timings.values())


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


def test_late_images_supersede_and_the_new_report_names_the_old_one(
    pipeline, scheduled, files, engine, clock
):
    (first,) = scheduled(ct_series(4))
    old = pipeline.run(first)
    clock.forward(60)
    (second,) = scheduled([ct_header(5)])
    new = pipeline.run(second)

    sr = pydicom.dcmread(BytesIO(files()[new.results[0]]))
    named = sr.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == old.results[0]
    assert set(old.results) <= set(files())
    findings = SqlFindings(engine)
    assert [r.measurements[0].value for r in findings.of_study(STUDY)] == [5 * DARK]
    assert len(findings.of_study(STUDY, superseded=True)) == 2


def test_images_that_came_later_do_not_change_work_under_way(pipeline, scheduled, deliver, engine):
    (uid,) = scheduled(ct_series(4))
    deliver([ct_header(5)])
    item = pipeline.run(uid)

    assert item.outcome is Outcome.RESULTS
    assert SqlFindings(engine).of_study(STUDY)[0].measurements[0].value == 4 * DARK


def test_work_over_images_that_are_gone_ends(pipeline, scheduled, archive):
    (uid,) = scheduled(ct_series(4))
    archive.delete(STUDY, SERIES, f"{SERIES}.2")
    item = pipeline.run(uid)

    assert (item.state, item.outcome) == (State.CANCELED, Outcome.SUPERSEDED)
    assert "deleted" in item.reason


def test_images_that_the_model_is_not_made_for_end_the_work_with_the_reason(pipeline, scheduled, files):
    headers = [ct_header(number) for number in (1, 2, 3, 4, 7, 8)]
    (uid,) = scheduled(headers)
    item = pipeline.run(uid)

    assert (item.state, item.outcome, item.attempts) == (State.CANCELED, Outcome.REFUSED, 1)
    assert "slice" in item.reason
    assert files() == {}


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


def test_work_for_a_model_that_was_removed_ends_with_the_reason(
    archive, spool, *, work, runtime, clock, scheduled, tmp_path
):
    (uid,) = scheduled(ct_series(4))
    item = Pipeline(archive, spool, work, Catalog([tmp_path]), runtime, clock=clock).run(uid)

    assert (item.state, item.outcome, item.reason) == (
        State.CANCELED,
        Outcome.FAILED,
        "no model is called 'dark'",
    )


def test_work_for_a_model_that_was_updated_is_done_by_the_new_version(
    archive, spool, *, work, runtime, clock, scheduled, tmp_path
):
    (old,) = scheduled(ct_series(4))
    catalog = Catalog([dark_package(tmp_path, version="2.0.0")])
    pipeline = Pipeline(archive, spool, work, catalog, runtime, clock=clock)

    assert pipeline.run(old).outcome is Outcome.SUPERSEDED
    (new,) = work.due()
    item = pipeline.run(new)
    assert (item.model.version, item.outcome, item.predecessor) == ("2.0.0", Outcome.RESULTS, old)


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


def test_findings_go_with_their_report(pipeline, scheduled, archive, engine, *, work, catalog, clock):
    (uid,) = scheduled(ct_series(4))
    item = pipeline.run(uid)
    key = archive.instance(item.results[0]).key
    archive.delete(key.study, key.series)
    Triggers(archive, work, catalog, clock=clock).poll()

    assert SqlFindings(engine).of_study(STUDY) == ()


def test_a_worker_that_warmed_up_works(pipeline, scheduled, runtime):
    pipeline.warm_up()
    assert runtime.loaded() >= 2
    (uid,) = scheduled(ct_series(4))

    assert pipeline.run(uid).state is State.COMPLETED


def test_heartbeats_end_with_the_run(pipeline, scheduled):
    (uid,) = scheduled(ct_series(4))
    pipeline.run(uid)

    assert [thread.name for thread in threading.enumerate() if "heartbeat" in thread.name] == []


def test_threads_of_one_worker_make_each_result_once(pipeline, scheduled, work, archive):
    uids = [
        scheduled(ct_series(4, StudyInstanceUID=f"2.25.{n}", SeriesInstanceUID=f"2.25.{n}.1"))[0]
        for n in range(900, 906)
    ]
    with ThreadPoolExecutor(3) as pool:
        done = [item for item in pool.map(lambda _: pipeline.run_next(), range(8)) if item]

    assert sorted(item.uid for item in done) == sorted(uids)
    for uid in uids:
        item = work.get(uid)
        assert (item.state, item.outcome, item.attempts) == (State.COMPLETED, Outcome.RESULTS, 1)
        assert archive.instance(item.results[0]).key.study == item.study
