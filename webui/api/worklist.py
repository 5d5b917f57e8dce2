"""The worklist as JSON."""

from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel

from inference.overview import AiState, Label, ReviewState
from webui.api.documented import problems
from webui.worklist import Asked, Row, Worklist

_DATE = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$"
_UID = r"^[0-9.]{1,64}$"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the answer that `If-None-Match` names"},
    **problems(400),
}


class LabelAnswer(BaseModel):
    """A coded finding."""

    value: str
    scheme: str
    meaning: str
    count: int
    score: float | None


class StudyAnswer(BaseModel):
    """One study of the list."""

    uid: str
    patient: str
    """Alphabetic group of the name, else another; components separated by `^`."""
    patient_id: str
    birth_date: str
    """YYYYMMDD, as all dates here."""
    sex: str
    date: str
    time: str
    """HHMMSS, with or without a fraction."""
    description: str
    accession: str
    modalities: list[str]
    series: int
    instances: int
    state: AiState
    progress: int | None
    """Percent, while models run."""
    reasons: list[str]
    """Why models failed or refused."""
    labels: list[LabelAnswer]
    """What is present, the most certain first."""
    flagged: bool
    review: ReviewState
    to_judge: int
    judged: int
    critical: int
    """Critical findings that nobody has acknowledged: such studies come first."""
    priors: int


class WorklistAnswer(BaseModel):
    """A page of studies, newest first; unacknowledged critical findings stand on top of the first one."""

    studies: list[StudyAnswer]
    next: str | None
    """The value of `behind` for the next page; null at the end."""
    looked_at: int


def worklist_router(worklist: Worklist) -> APIRouter:
    """`/worklist` and what may be asked of it."""
    router = APIRouter(tags=["worklist"])

    @router.get(
        "/worklist",
        summary="Studies with what models found in them, newest first",
        response_model=WorklistAnswer,
        responses=_RESPONSES,
    )
    def studies(
        *,
        patient: Annotated[str, Query(max_length=64, description="Words of the patient's name")] = "",
        patient_id: Annotated[
            str, Query(max_length=64, description="Patient ID; * and ? are wildcards")
        ] = "",
        accession: Annotated[
            str, Query(max_length=64, description="Accession number; * and ? are wildcards")
        ] = "",
        first_date: Annotated[str, Query(pattern=_DATE, description="Not before this day, YYYY-MM-DD")] = "",
        last_date: Annotated[str, Query(pattern=_DATE, description="Not after this day, YYYY-MM-DD")] = "",
        modality: Annotated[str, Query(max_length=16, description="A modality in the study")] = "",
        finding: Annotated[str | None, Query(max_length=64, description="Code value that is present")] = None,
        state: Annotated[AiState | None, Query(description="How far the models are")] = None,
        review: Annotated[ReviewState | None, Query(description="How far the people are")] = None,
        behind: Annotated[str | None, Query(pattern=_UID, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        if_none_match: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        asked = Asked(
            patient=patient.strip(),
            patient_id=patient_id.strip(),
            accession=accession.strip(),
            first_date=first_date.replace("-", ""),
            last_date=last_date.replace("-", ""),
            modality=modality.strip().upper(),
            code=finding or None,
            state=state,
            review=review,
        )
        page = worklist.page(asked, behind=behind, size=limit)
        answer = WorklistAnswer(
            studies=[_study(row) for row in page.rows], next=page.behind, looked_at=page.looked_at
        )
        return _tagged(answer.model_dump_json().encode(), if_none_match)

    @router.get(
        "/worklist/findings",
        summary="Findings that the worklist may be asked for",
        responses=problems(400),
    )
    def labels() -> list[LabelAnswer]:
        return [_label(label) for label in worklist.labels()]

    return router


def _tagged(content: bytes, known: str | None) -> Response:
    """Pages ask again when anything has changed; mostly that is not on the page."""
    headers = {"ETag": f'"{sha256(content).hexdigest()[:32]}"', "Cache-Control": "private, no-cache"}
    if known == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")


def _study(row: Row) -> StudyAnswer:
    def first(tag: str) -> Any:
        return (row.attributes.get(tag, {}).get("Value") or [""])[0]

    name = first("00100010") or {}
    overview = row.overview
    return StudyAnswer(
        uid=row.uid,
        patient=next(
            (name[group] for group in ("Alphabetic", "Ideographic", "Phonetic") if group in name), ""
        ),
        patient_id=first("00100020"),
        birth_date=first("00100030"),
        sex=first("00100040"),
        date=first("00080020"),
        time=first("00080030"),
        description=first("00081030"),
        accession=first("00080050"),
        modalities=row.attributes.get("00080061", {}).get("Value") or [],
        series=first("00201206") or 0,
        instances=first("00201208") or 0,
        state=overview.state,
        progress=overview.progress,
        reasons=list(overview.reasons),
        labels=[_label(label) for label in overview.labels],
        flagged=overview.flagged,
        review=overview.review,
        to_judge=overview.to_judge,
        judged=overview.judged,
        critical=overview.critical,
        priors=row.priors,
    )


def _label(label: Label) -> LabelAnswer:
    return LabelAnswer(
        value=label.value, scheme=label.scheme, meaning=label.meaning, count=label.count, score=label.score
    )
