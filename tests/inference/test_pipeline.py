"""A work item is carried out once, and ends with results or with a reason."""

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
from storage.search import Query
from tests.inference.analyses import SERIES, STUDY, ct_header, ct_series, film_header
from tests.inference.packages import dark_package

DARK = 8 * 16
"""Dark pixels of one slice."""


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

    assert pipeline.run_next(["gpu"]) == ()
    assert [pipeline.run_next()[0].uid for _ in range(2)] == [ordered.item.uid, routine]
    assert pipeline.run_next() == ()


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


def test_threads_of_one_worker_make_each_result_once(pipeline, scheduled, work, archive):
    uids = [
        scheduled(ct_series(4, StudyInstanceUID=f"2.25.{n}", SeriesInstanceUID=f"2.25.{n}.1"))[0]
        for n in range(900, 906)
    ]
    with ThreadPoolExecutor(3) as pool:
        done = [item for items in pool.map(lambda _: pipeline.run_next(), range(8)) for item in items]

    assert sorted(item.uid for item in done) == sorted(uids)
    for uid in uids:
        item = work.get(uid)
        assert (item.state, item.outcome, item.attempts) == (State.COMPLETED, Outcome.RESULTS, 1)
        assert archive.instance(item.results[0]).key.study == item.study
