"""The query parameters of our own."""

import pytest

from dicomweb.finding_search import REVIEW_STATES, Findings, read_findings
from dicomweb.problems import BadRequest
from inference.overview import ReviewState


def test_our_parameters_are_told_from_those_of_the_standard():
    given = [("finding", "27925004"), ("PatientID", "a"), ("FindingScore", "0.8"), ("reviewstate", "open")]
    asked = Findings(code="27925004", min_score=0.8, review="open")
    assert read_findings(given) == (asked, [("PatientID", "a")])
    assert read_findings([("PatientID", "a"), ("model", "")]) == (None, [("PatientID", "a")])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("finding", "x" * 65),
        ("model", "a\0"),
        ("findingscore", "0.5"),
        ("findingscore", "high"),
        ("findingscore", "nan"),
        ("findingscore", "1e999"),
        ("reviewstate", "maybe"),
    ],
)
def test_what_is_malformed_is_named(name, value):
    with pytest.raises(BadRequest, match=name):
        read_findings([(name, value)])


def test_states_of_review_are_those_of_the_worklist():
    assert set(REVIEW_STATES) == {state.value for state in ReviewState}
