"""Search by what models found and what people made of it: query parameters of our own, not of PS3.18."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from dicomweb.problems import BadRequest
from storage.search import Match, OneOf, Query

REVIEW_STATES = ("open", "judged", "signed", "nothing")
MOST_STUDIES = 5_000
"""Studies with such findings, those found last, among which a search looks."""
Option = tuple[str, str, dict[str, Any]]
"""A query parameter: name, meaning, schema."""
OPTIONS: list[Option] = [
    ("finding", "Studies where a model found this present: the code value of a finding", {"type": "string"}),
    ("findingscore", "With finding or model: a score of at least this", {"type": "number"}),
    ("model", "Studies where the model of this name found something present", {"type": "string"}),
    ("reviewstate", "How far people are with the findings", {"type": "string", "enum": list(REVIEW_STATES)}),
]
_NAMES = frozenset(name for name, _, _ in OPTIONS)
_STUDY = "0020000D"
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Findings:
    """What is asked of the findings of a study; None asks nothing."""

    code: str | None = None
    """Code value."""
    min_score: float | None = None
    """Of a finding of that code or model."""
    model: str | None = None
    review: str | None = None
    """One of `REVIEW_STATES`."""


class FindingSearch(Protocol):
    """Finds studies by their findings."""

    def studies_with(self, findings: Findings, limit: int) -> Sequence[str]:
        """Study Instance UIDs, up to `limit`, the latest finding first where one is asked for."""


def read_findings(parameters: Iterable[tuple[str, str]]) -> tuple[Findings | None, list[tuple[str, str]]]:
    """What query parameters ask of the findings, if anything, and the other parameters.

    Raises:
        BadRequest: a parameter is malformed; the message names it.
    """
    own: dict[str, str] = {}
    others = []
    for name, value in parameters:
        if name.lower() in _NAMES:
            own[name.lower()] = value.strip()
        else:
            others.append((name, value))
    asked = Findings(
        code=_text("finding", own),
        min_score=_score(own["findingscore"]) if own.get("findingscore") else None,
        model=_text("model", own),
        review=_text("reviewstate", own),
    )
    if asked.review is not None and asked.review not in REVIEW_STATES:
        raise BadRequest(f"reviewstate: {asked.review!r} is none of {', '.join(REVIEW_STATES)}")
    if asked.min_score is not None and asked.code is None and asked.model is None:
        raise BadRequest("findingscore: say of which finding or model")
    return (None if asked == Findings() else asked), others


def _text(name: str, given: dict[str, str]) -> str | None:
    text = given.get(name) or None
    if text is not None and (len(text) > _LONGEST or not text.isprintable()):
        raise BadRequest(f"{name}: at most {_LONGEST} printable characters")
    return text


def _score(text: str) -> float:
    try:
        score = float(text[:_LONGEST])
    except ValueError:
        score = float("nan")
    if not abs(score) < float("inf"):
        raise BadRequest(f"findingscore: {text[:_LONGEST]!r} is no number")
    return score


def among(query: Query, studies: Sequence[str]) -> Query:
    """`query` among these studies, of which there is at least one."""
    return replace(query, matches=(*query.matches, Match(_STUDY, OneOf(tuple(studies)))))
