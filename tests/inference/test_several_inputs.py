"""A model of several series: when its work comes, what it gets, and what its results say of it."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation

from inference.backfill import work_of
from inference.findings_sql import SqlFindings
from inference.orders import NothingToDo, Orders
from inference.pipeline import Pipeline
from inference.replay import Replay
from inference.results.reading import algorithm_parameters, read_findings
from inference.reviewing import Reviews
from inference.reviews_sql import SqlReviews
from inference.triggers import Triggers
from inference.ups.data_set import INPUT, Access, data_set
from inference.workitems import Outcome, Priority
from models.catalog import Catalog
from storage.instances import Origin
from storage.sql.engine import connect
from tests.inference.several_packages import PRIOR, REQUIRED, WITH_CROP, change_package, films_package
from tests.inference.stored_series import ct_slice, part10
from tests.support.programs import needs

NOW, BEFORE, LONG_BEFORE = "2.25.500", "2.25.510", "2.25.520"
POST, CROP = f"{NOW}.1", f"{NOW}.2"


def images(series: str, hu: int, *, slices: int = 4, date: str = "20260102", **changes):
    """A small CT of one grey value, of the study that the UID of the series begins with."""
    pixels = np.full((6, 4), hu)
    told = {
        "StudyInstanceUID": series.rpartition(".")[0],
        "SeriesInstanceUID": series,
        "SeriesDescription": "crop" if series == CROP else "T1 post",
        "FrameOfReferenceUID": "2.25.599",
        "StudyDate": date,
        "StudyTime": "101112",
        "SeriesNumber": int(series[-1]),
    }
    return [
        ct_slice(number, pixels, SOPInstanceUID=f"{series}.{number}", **(told | changes))
        for number in range(1, slices + 1)
    ]


@pytest.fixture
def engine(empty_index, tmp_path):
    """One kind of database is enough: what is kept in it is tested with the work list."""
    engine = connect(f"sqlite:///{shutil.copy(empty_index, tmp_path)}")
    yield engine
    engine.dispose()


@pytest.fixture
def store(archive, spool):
    """Stores what is given as one delivery."""

    def store(*series) -> None:
        files = [part10(ds) if isinstance(ds, pydicom.Dataset) else ds for some in series for ds in some]
        with archive.delivery(Origin("dimse", "TEST")) as delivery:
            for data in files:
                file = spool.new()
                file.write(data)
                delivery.ingest(file)

    return store


@pytest.fixture
def with_card(request, tmp_path, archive, work, clock):
    """Triggers, and what runs work, for the model with this second input."""
    spool, runtime = request.getfixturevalue("spool"), request.getfixturevalue("runtime")

    def with_card(second: str):
        change_package(tmp_path / "models", second)
        models = Catalog([tmp_path / "models"])
        pipeline = Pipeline(archive, spool, work, models, runtime, clock=clock)
        return Triggers(archive, work, models, clock=clock), pipeline, models

    return with_card


@pytest.fixture
def read(archive):
    """A stored result by its UID."""

    def read(sop: str) -> pydicom.Dataset:
        with archive.open(archive.instance(sop)) as file:
            return pydicom.dcmread(file)

    return read


@pytest.fixture
def numbers(read):
    """What the report of a work item says in numbers."""

    def numbers(item) -> list[float]:
        return [each.value for each in read_findings(read(item.results[0]))[-1].measurements]

    return numbers


def test_work_comes_when_the_last_of_its_series_is_complete(with_card, store, clock, work):
    triggers, pipeline, _ = with_card(REQUIRED)
    clock.forward(-3600)
    store(images(POST, 100))
    clock.forward(30)
    assert triggers.poll() == []
    clock.forward(-30)
    store(images(CROP, 130))
    assert triggers.poll() == []
    clock.forward(30)
    (uid,) = triggers.poll()
    assert work.get(uid).instances == 8
    assert pipeline.run(uid).outcome is Outcome.RESULTS


def test_two_processes_that_see_both_series_due_make_one_item(with_card, store, monkeypatch, work):
    triggers, _, _ = with_card(REQUIRED)
    store(images(POST, 100), images(CROP, 130))
    # Neither process has taken its series yet when the other one looks.
    due = work.arrivals.due
    triggers._read_events()
    waiting = due(triggers._clock())
    news = [triggers._work_for(each) for each in waiting]
    assert [len(each) for each in news] == [1, 1]
    made = [work.create_for(each, some) for each, some in zip(waiting, news, strict=True)]
    assert sorted(map(len, made)) == [0, 1]


def test_the_result_says_what_it_was_made_from(with_card, store, read, work, numbers):
    triggers, pipeline, _ = with_card(WITH_CROP)
    store(images(POST, 100), images(CROP, 160))
    (uid,) = triggers.poll()
    item = pipeline.run(uid)
    assert numbers(item) == [60, 1]
    sr, seg = map(read, item.results)
    (study,) = sr.CurrentRequestedProcedureEvidenceSequence
    assert [each.SeriesInstanceUID for each in study.ReferencedSeriesSequence][:2] == [POST, CROP]
    assert {f"input first series {POST}", f"input second series {CROP}"} <= set(algorithm_parameters(sr))
    assert {each.series for each in read_findings(sr)} == {POST}
    assert [each.SeriesInstanceUID for each in seg.ReferencedSeriesSequence] == [POST]
    told = data_set(item, Access(), work.inputs(uid))[INPUT]["Value"]
    assert [each["0020000E"]["Value"] for each in told] == [[POST], [CROP]]
    assert [len(each["00081199"]["Value"]) for each in told] == [4, 4]


def test_late_images_of_either_series_supersede(with_card, store, work, numbers):
    triggers, pipeline, _ = with_card(WITH_CROP)
    store(images(POST, 100), images(CROP, 160, slices=3))
    (first,) = triggers.poll()
    pipeline.run(first)
    store(images(CROP, 160)[3:])
    (second,) = triggers.poll()
    assert work.get(second).predecessor == first
    assert work.get(second).instances == 8
    assert pipeline.run(second).outcome is Outcome.RESULTS


def test_without_an_optional_series_the_model_runs_and_the_result_says_so(
    with_card, store, work, engine, numbers
):
    triggers, pipeline, _ = with_card(WITH_CROP)
    store(images(POST, 100))
    (uid,) = triggers.poll()
    assert numbers(pipeline.run(uid)) == [-100, 0]
    (finding, *_) = SqlFindings(engine).of_study(NOW)
    assert finding.flags == ("no series: the study has none for input 'second'; the model ran without",)
    store(images(CROP, 160))
    (later,) = triggers.poll()
    assert work.get(later).predecessor == uid
    assert numbers(pipeline.run(later)) == [60, 1]


def test_of_two_series_that_match_the_larger_is_taken_and_the_result_says_so(
    with_card, store, work, engine, numbers
):
    triggers, pipeline, _ = with_card(WITH_CROP)
    small = images(f"{NOW}.3", 500, slices=3, SeriesDescription="crop again")
    store(images(POST, 100), images(CROP, 160), small)
    (uid,) = triggers.poll()
    assert numbers(pipeline.run(uid)) == [60, 1]
    (finding, *_) = SqlFindings(engine).of_study(NOW)
    assert finding.flags == (
        "2 series are there for input 'second': number 2 was taken, the largest or newest",
    )


def test_the_prior_is_the_newest_earlier_study_of_the_patient(with_card, store, read, numbers):
    triggers, pipeline, _ = with_card(PRIOR)
    others = [
        images(f"{LONG_BEFORE}.1", 500, date="20200102"),
        images("2.25.530.1", 600, date="20250601", PatientID="P2"),
        images("2.25.540.1", 700, date="20250602", IssuerOfPatientID="elsewhere"),
        images("2.25.550.1", 800, date="20250603", SeriesDescription="scout"),
        images("2.25.560.1", 900, date="20270603"),
    ]
    store(*others, images(f"{BEFORE}.1", 160, date="20250102"), images(POST, 100))
    items = [pipeline.run(uid) for uid in triggers.poll()]
    (item,) = [each for each in items if each.study == NOW]
    assert numbers(item) == [60, 1]
    sr = read(item.results[0])
    assert [each.StudyInstanceUID for each in sr.CurrentRequestedProcedureEvidenceSequence] == [NOW]
    assert [each.StudyInstanceUID for each in sr.PertinentOtherEvidenceSequence] == [BEFORE]


@needs("dciodvfy")
def test_results_with_a_prior_as_evidence_are_valid(with_card, store, read, tmp_path):
    triggers, pipeline, _ = with_card(PRIOR)
    store(images(f"{BEFORE}.1", 160, date="20250102"), images(POST, 100))
    results = [sop for uid in triggers.poll() for sop in pipeline.run(uid).results]
    assert any("PertinentOtherEvidenceSequence" in read(sop) for sop in results)
    for sop in results:
        read(sop).save_as(tmp_path / "result.dcm")
        said = subprocess.run(
            ["dciodvfy", "-new", tmp_path / "result.dcm"], capture_output=True, text=True, check=False
        )
        assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []
        assert said.stderr.strip()


def test_a_prior_that_comes_late_counts_for_the_studies_up_to_the_next(with_card, store, work, numbers):
    triggers, pipeline, _ = with_card(PRIOR)
    store(images(f"{LONG_BEFORE}.1", 150, date="20200102"), images(POST, 100))
    made = {work.get(uid).study: uid for uid in triggers.poll()}
    assert numbers(pipeline.run(made[NOW])) == [50, 1]
    store(images(f"{BEFORE}.1", 160, date="20250102"))
    later = {work.get(uid).study: uid for uid in triggers.poll()}
    assert set(later) == {BEFORE, NOW}
    assert work.get(later[NOW]).predecessor == made[NOW]
    assert [numbers(pipeline.run(later[study])) for study in (BEFORE, NOW)] == [[-10, 1], [60, 1]]
    store(images("2.25.515.1", 170, date="20220102"))
    assert {work.get(uid).study for uid in triggers.poll()} == {"2.25.515", BEFORE}


def test_without_a_prior_that_is_needed_the_work_ends_with_the_reason(with_card, store, work, numbers):
    triggers, pipeline, _ = with_card(PRIOR.replace("optional = true\n", ""))
    store(images(POST, 100))
    (uid,) = triggers.poll()
    item = pipeline.run(uid)
    assert item.outcome is Outcome.REFUSED
    assert item.reason == "no prior: the patient has no earlier study here with a series for input 'second'"
    store(images(f"{BEFORE}.1", 160, date="20250102"))
    items = [pipeline.run(uid) for uid in triggers.poll()]
    (later,) = [each for each in items if each.study == NOW]
    assert later.predecessor == uid
    assert numbers(later) == [60]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"FrameOfReferenceUID": "2.25.598"},
            "second: the Frame of Reference UID is not that of first: positions do not compare",
        ),
        (
            {"FrameOfReferenceUID": ""},
            "second: without Frame of Reference UIDs the series cannot be laid on first",
        ),
        ({"ImagePositionPatient": None}, "second: image 1 has no ImagePositionPatient"),
    ],
)
def test_series_that_do_not_go_together_end_the_work_with_the_reason(with_card, store, changes, reason):
    triggers, pipeline, _ = with_card(REQUIRED)
    store(images(POST, 100), images(CROP, 130, **changes))
    (uid,) = triggers.poll()
    item = pipeline.run(uid)
    assert (item.outcome, item.reason) == (Outcome.REFUSED, reason)


def test_a_series_beside_the_other_ends_the_work(with_card, store):
    triggers, pipeline, _ = with_card(REQUIRED)
    beside = images(CROP, 130)
    for ds in beside:
        ds.ImagePositionPatient[0] += 500
    store(images(POST, 100), beside)
    (uid,) = triggers.poll()
    item = pipeline.run(uid)
    assert item.reason == "second: the series covers 0% of first, at least some is needed"


def test_real_series_of_one_study_are_laid_on_each_other(
    with_card, store, test_data, work, *, archive, engine, runtime
):
    triggers, pipeline, models = with_card(WITH_CROP)
    folder = test_data / "dicom" / "mr-series"
    for name in ("hippocampus-crop-40", "brain-t1post-22"):
        store([path.read_bytes() for path in sorted((folder / name).iterdir())])
    (uid,) = triggers.poll()
    item = pipeline.run(uid)
    assert item.outcome is Outcome.RESULTS, item.reason
    parts = work.inputs(uid).parts
    assert [(len(part.sops), part.name) for part in parts] == [(22, ""), (40, "second")]
    reviews = Reviews(archive, SqlFindings(engine), SqlReviews(engine))
    replay = Replay(archive, work, models, reviews)
    assert replay.differences(item.results[0], runtime) == []
    told = replay.explained(item.results[0])
    assert [each.get("input", "") for each in told["inputs"]] == [""] * 22 + ["second"] * 40
    assert told["inputs_intact"]


def test_a_film_is_compared_with_that_of_the_prior_study(with_card, store, tmp_path, *, work, read, numbers):
    films_package(tmp_path / "models")
    triggers, pipeline, _ = with_card(REQUIRED)
    film = {"SOPClassUID": DigitalXRayImageStorageForPresentation, "Modality": "DX"}
    before = images(f"{BEFORE}.1", 160, slices=2, date="20250102", **film)
    store(before, images(POST, 100, slices=2, **film))
    items = [pipeline.run(uid) for uid in triggers.poll()]
    assert {each.outcome for each in items} == {Outcome.RESULTS}
    alone, compared = ([each for each in items if each.study == study] for study in (BEFORE, NOW))
    assert [len(alone), len(compared)] == [2, 2]
    assert {numbers(each)[0] for each in compared} == {60}
    first, second = work.inputs(compared[0].uid).parts
    assert (len(first.sops), second.sops) == (1, (f"{BEFORE}.1.2",))
    (study,) = read(compared[0].results[0]).PertinentOtherEvidenceSequence
    assert study.StudyInstanceUID == BEFORE


def test_a_person_is_told_which_series_is_missing(with_card, store, archive, work, clock):
    _, _, models = with_card(REQUIRED)
    store(images(POST, 100))
    with pytest.raises(NothingToDo, match="no series: the study has none for input 'second'"):
        Orders(archive, work, models, clock).run("change", NOW)
    store(images(CROP, 130))
    (ordered,) = Orders(archive, work, models, clock).run("change", NOW)
    assert ordered.item.instances == 8


def test_backfill_makes_the_same_work_as_the_triggers(with_card, store, archive, work, clock):
    triggers, _, models = with_card(WITH_CROP)
    store(images(POST, 100), images(CROP, 130))
    (uid,) = triggers.poll()
    (new,) = work_of(archive, models.get("change"), NOW, clock.now)
    assert (new.uid, new.priority) == (uid, Priority.LOW)


def test_a_version_in_shadow_gets_the_same_series(with_card, store, archive, *, work, clock, tmp_path):
    _, _, models = with_card(WITH_CROP)
    change_package(tmp_path / "new", version="2.0.0")
    shadow = Catalog([tmp_path / "new"])
    triggers = Triggers(archive, work, models, shadows=shadow.cards, clock=clock)
    store(images(POST, 100), images(CROP, 130))
    first, second = (work.get(uid) for uid in triggers.poll())
    assert {first.shadow, second.shadow} == {False, True}
    assert first.fingerprint == second.fingerprint


def test_work_for_an_older_version_is_done_by_the_new_one_on_what_it_takes(
    with_card, store, tmp_path, work, numbers
):
    triggers, pipeline, _ = with_card(REQUIRED)
    store(images(POST, 100), images(CROP, 160), images(f"{NOW}.3", 200, SeriesDescription="other"))
    (uid,) = triggers.poll()
    change_package(tmp_path / "models", REQUIRED.replace("crop", "other"), version="1.1.0")
    ended = pipeline.run(uid)
    assert ended.outcome is Outcome.SUPERSEDED
    following = ended.reason.rpartition("see ")[2]
    assert numbers(pipeline.run(following)) == [100]
