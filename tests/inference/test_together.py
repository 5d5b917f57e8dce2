"""Films for a model that takes batches are carried out together, and each ends as it would alone."""

import pytest

from inference.analyse import analyse
from inference.findings_sql import SqlFindings
from inference.inputs import InputImages
from inference.results.context import ResultContext
from inference.results.sources import source_images
from inference.results.write import result_objects
from inference.workitems import Outcome, State
from models.catalog import Catalog
from storage.errors import StorageDown
from tests.inference.analyses import film_header
from tests.inference.packages import film_package


@pytest.fixture
def catalog(tmp_path) -> Catalog:
    film_package(tmp_path / "batches", max_batch=4)
    return Catalog([tmp_path / "batches"])


@pytest.fixture
def films(scheduled):
    """Work on so many films, each a study; `changes` by its number."""

    def schedule(count: int, **changes) -> list[str]:
        return [uid for number in range(count) for uid in scheduled([film(number)])]

    return schedule


def film(number: int):
    study = f"2.25.{500 + number}"
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.1.1"}
    return film_header(**uids)


def outcomes(work, uids):
    items = [work.get(uid) for uid in uids]
    return {(item.state, item.outcome, item.attempts) for item in items}


DONE = {(State.COMPLETED, Outcome.RESULTS, 1)}


def test_what_waits_is_carried_out_together(pipeline, films, *, work, archive, engine):
    uids = films(6)

    assert [len(pipeline.run_next()) for _ in range(3)] == [4, 2, 0]
    assert outcomes(work, uids) == DONE
    for item in map(work.get, uids):
        (record,) = SqlFindings(engine).of_study(item.study)
        assert (record.result, record.image.sop) == (item.results[0], f"{item.series}.1")
        assert archive.instance(item.results[0]).key.study == item.study
        assert {"prepare", "model", "results", "store"} <= item.timings.keys()


def test_results_are_those_of_single_runs(pipeline, films, *, work, archive, catalog, runtime):
    uids = films(3)
    (card,) = catalog.cards()
    assert len(pipeline.run_next()) == 3

    for item in map(work.get, uids):
        images = InputImages(tuple(archive.instances(item.study, item.series)))
        analysis = analyse(card, archive, runtime, [images])
        context = ResultContext(item.uid, item.created_at)
        alone = result_objects(analysis, source_images(archive.headers(analysis.sources)), context)
        with archive.open(archive.instance(item.results[0])) as file:
            assert file.read() == alone.files[0]


def test_one_that_cannot_be_done_costs_the_others_nothing(pipeline, films, *, work, archive):
    gone, *others = films(3)
    archive.delete(work.get(gone).study)

    assert len(pipeline.run_next()) == 3
    assert outcomes(work, others) == DONE
    assert outcomes(work, [gone]) == {(State.CANCELED, Outcome.SUPERSEDED, 1)}


def test_without_the_store_each_is_tried_again_later(pipeline, films, *, work, archive, clock, monkeypatch):
    def down(*_):
        raise StorageDown("the bucket did not answer")

    uids = films(3)
    with monkeypatch.context() as patch:
        patch.setattr(archive, "delivery", down)
        assert len(pipeline.run_next()) == 3
    assert outcomes(work, uids) == {(State.IN_PROGRESS, None, 0)}
    clock.forward(10)
    while pipeline.run_next():
        pass
    assert outcomes(work, uids) == DONE


def test_what_was_withdrawn_meanwhile_stores_nothing(pipeline, films, *, work, archive, runtime, monkeypatch):
    withdrawn, *others = films(3)
    real = runtime.run_all

    def run(*arguments):
        if work.get(withdrawn).state is State.IN_PROGRESS:
            work.cancel(withdrawn, "wrong patient")
        return real(*arguments)

    monkeypatch.setattr(runtime, "run_all", run)
    pipeline.run_next()

    assert outcomes(work, others) == DONE
    assert outcomes(work, [withdrawn]) == {(State.CANCELED, Outcome.WITHDRAWN, 1)}
    assert len(archive.instances(work.get(withdrawn).study)) == 1
