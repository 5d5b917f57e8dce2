"""The figures of quality, counted on both databases."""

from datetime import UTC, datetime

import pytest

from inference.quality import Observation, Verdicts
from inference.quality_sql import SqlQuality
from inference.reviews import NewReview, Reviewer, UnknownReview, Verdict
from inference.reviews_sql import SqlReviews
from tests.inference.test_workitems import finding

ANN = Reviewer("Reader^Ann")


@pytest.fixture
def quality(engine) -> SqlQuality:
    return SqlQuality(engine)


@pytest.fixture
def reviews(engine, clock) -> SqlReviews:
    return SqlReviews(engine, clock)


def seen(number: int, **changes) -> Observation:
    values = {
        "result": f"2.25.{number}",
        "model": "ct-lung-density",
        "version": "1",
        "series": "1.2.3",
        "at": datetime(2026, 1, number, tzinfo=UTC),
        "manufacturer": "ACME",
        "scanner": "Mark I",
        "age": 66.0,
        "kvp": 120.0,
        "findings": 2,
        "latency": float(number),
    }
    return Observation(**values | changes)


def said(reviews: SqlReviews, verdict: Verdict, tracking: str, result: str = "2.25.1"):
    record = finding("1.2", result=result, tracking_uid=tracking)
    return reviews.add(NewReview("1.2", tracking, verdict, ANN, judged=record))


def test_reports_verdicts_and_latency_are_counted_per_version_scanner_and_month(quality, reviews):
    assert quality.add(seen(1))
    assert not quality.add(seen(1, findings=9))
    quality.add(seen(2, scanner="Mark II", at=datetime(2026, 2, 2, tzinfo=UTC), latency=None))
    said(reviews, Verdict.ACCEPT, "2.25.11")
    said(reviews, Verdict.REJECT, "2.25.12")
    said(reviews, Verdict.MISSED, "2.25.13")
    said(reviews, Verdict.ACCEPT, "2.25.13", result="")  # what a person found is of no report
    said(reviews, Verdict.CORRECT, "2.25.21", "2.25.2")

    (total,) = quality.totals()
    assert (total.results, total.findings, total.latency) == (2, 4, 1.0)
    assert total.verdicts == Verdicts(accepted=1, corrected=1, rejected=1, missed=1)
    assert (total.verdicts.agreement, total.verdicts.acceptance) == (0.5, pytest.approx(1 / 3))
    first, second = quality.by_scanner()
    assert (first.scanner, first.month, first.verdicts.corrected) == ("Mark I", "2026-01", 0)
    assert (second.scanner, second.month, second.verdicts) == ("Mark II", "2026-02", Verdicts(corrected=1))
    assert quality.totals("other") == ()
    assert quality.totals(since=datetime(2026, 2, 1, tzinfo=UTC))[0].results == 1


def test_inputs_are_counted_in_bins_by_month(quality):
    for number, changes in enumerate(
        ({"age": 17.9}, {"age": 18.0}, {"age": 95}, {"age": None, "kvp": 70}), 1
    ):
        quality.add(seen(number, **changes))
    (drift,) = quality.drift()
    assert drift.histograms == {
        "age": {"-18": 1, "18-30": 1, "90-": 1},
        "kvp": {"110-130": 3, "70-90": 1},
        "manufacturer": {"ACME": 4},
    }


def test_a_review_is_undone_once(reviews):
    review = said(reviews, Verdict.ACCEPT, "2.25.11")
    undo = reviews.undo("1.2", "2.25.11", review.id, ANN)
    assert (undo.verdict, undo.undoes) == (Verdict.UNDO, review.id)
    for study, tracking, number in (
        ("1.2", "2.25.11", review.id),
        ("1.2", "2.25.11", undo.id),
        ("1.2", "2.25.99", review.id),
    ):
        with pytest.raises(UnknownReview):
            reviews.undo(study, tracking, number, ANN)
    assert [each.verdict for each in reviews.of_study("1.2")] == [Verdict.ACCEPT, Verdict.UNDO]
