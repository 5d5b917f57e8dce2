"""A result says where it came from, and the same comes out again, or what differs is named."""

import json

import pytest

from inference.findings_sql import SqlFindings
from inference.pipeline import Pipeline
from inference.replay import Replay
from inference.reviewing import Reviews
from inference.reviews import Reviewer, Verdict
from inference.reviews_sql import SqlReviews
from inference.triggers import Triggers
from models.catalog import Catalog
from storage.errors import InvalidQuery, UnknownInstance
from tests.inference.analyses import SERIES, STUDY, ct_series


@pytest.fixture
def reviews(archive, engine) -> Reviews:
    return Reviews(archive, SqlFindings(engine), SqlReviews(engine))


@pytest.fixture
def replay(archive, work, catalog, reviews) -> Replay:
    return Replay(archive, work, catalog, reviews)


@pytest.fixture
def report(request, deliver, *, archive, work, catalog, clock) -> str:
    """A dark series was analysed; SOP Instance UID of the report."""
    deliver(ct_series(4))
    (uid,) = Triggers(archive, work, catalog, clock=clock).poll()
    spool, runtime = request.getfixturevalue("spool"), request.getfixturevalue("runtime")
    return Pipeline(archive, spool, work, catalog, runtime, clock=clock).run(uid).results[0]


def test_a_result_tells_where_it_came_from_and_who_reviewed_it(replay, report, archive, reviews):
    (finding,) = reviews.of_study(STUDY).findings
    reviews.judge(STUDY, finding.record.tracking_uid, Verdict.ACCEPT, Reviewer("Reader^Ann"), comment="yes")
    told = replay.explained(report)

    assert json.dumps(told, default=str)
    stored = {each.key.sop: each.digest for each in archive.instances(STUDY, SERIES)}
    assert {each["sop"]: each["digest"] for each in told["inputs"]} == stored
    assert told["inputs_intact"]
    assert told["card"].endswith("dark")
    assert {"model", "card", "runtime", "provider"} <= {each.partition(" ")[0] for each in told["parameters"]}
    assert told["work_item"]["timings"]["model"] >= 0
    (review,) = told["reviews"]
    assert (review["verdict"], review["by"], review["comment"]) == ("accept", "Reader^Ann", "yes")


def test_the_same_comes_out_again_byte_for_byte(replay, report, runtime, archive):
    before = len(archive.instances(STUDY))
    assert replay.differences(report, runtime) == []
    assert len(archive.instances(STUDY)) == before


def test_what_differs_is_named(replay, report, runtime, archive):
    sr = archive.instance(report)
    mask = next(each for each in archive.instances(STUDY) if each.key.series not in {SERIES, sr.key.series})
    archive.delete(STUDY, mask.key.series)
    assert replay.differences(report, runtime) == [f"object {mask.key.sop} is not stored any more"]


def test_without_the_very_images_or_the_very_model_there_is_no_replay(
    replay, report, runtime, *, archive, work, reviews, tmp_path
):
    elsewhere = Replay(archive, work, Catalog([tmp_path / "none"]), reviews)
    with pytest.raises(InvalidQuery, match="no longer there"):
        elsewhere.differences(report, runtime)
    archive.delete(STUDY, SERIES, f"{SERIES}.2")
    with pytest.raises(InvalidQuery, match="deleted or replaced"):
        replay.differences(report, runtime)
    assert replay.explained(report)["inputs_missing"] == [f"{SERIES}.2"]
    with pytest.raises(InvalidQuery, match="not the report"):
        replay.provenance(f"{SERIES}.1")
    with pytest.raises(UnknownInstance):
        replay.provenance("1.2.3")
