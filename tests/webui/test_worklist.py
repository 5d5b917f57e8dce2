"""The worklist over a real archive, with work and findings as the pipeline writes them."""

from datetime import UTC, datetime, timedelta

import pytest

from inference.findings import Code, Score
from inference.inputs import Inputs, SeriesInput
from inference.records import FindingRecord
from inference.workitems import Completed, ModelReference, NewWorkItem, Outcome

NODULE = Code("27925004", "SCT", "Nodule")
MASS = Code("4147007", "SCT", "Mass")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
NOW = datetime.now(UTC)


@pytest.fixture
def study(store):
    """Stores an image of study `1.2.<number>`."""

    def stored(number: int, **attributes) -> str:
        uid = f"1.2.{number}"
        store(
            **{"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", "SOPInstanceUID": f"{uid}.1.1"}
            | attributes
        )
        return uid

    return stored


def work_item(services, study: str) -> str:
    new = NewWorkItem(
        model=ModelReference("ct-test", "1.0.0", "a" * 64, "b" * 64),
        inputs=Inputs((SeriesInput(study, f"{study}.1", (f"{study}.1.1",)),), "c" * 64, f"{study}.1"),
        due_at=NOW - timedelta(minutes=1),
    )
    services.work.create_if_absent(new)
    return new.uid


def found(services, study: str, *scores: float, code: Code = NODULE) -> None:
    """The work on a study has ended, and the report says `code` once for each score."""
    uid = work_item(services, study)
    held = services.work.claim(uid, "worker", timedelta(minutes=1))
    records = [
        FindingRecord(
            work_item=uid,
            study=study,
            series=f"{study}.1",
            result=f"{study}.9",
            model="ct-test",
            version="1.0.0",
            key=f"n{number}",
            tracking_uid=f"{study}.9.{number}",
            code=code,
            presence="present",
            score=Score(score, CERTAINTY),
        )
        for number, score in enumerate(scores)
    ]
    services.work.complete([Completed(uid, held.transaction, (f"{study}.9",), records, {})])


def uids(web, **asked) -> list[str]:
    answer = web.get("/api/worklist", params=asked)
    assert answer.status_code == 200, answer.text
    return [each["uid"] for each in answer.json()["studies"]]


def test_a_study_is_told_with_patient_work_and_findings(web, study, services):
    uid = study(1)
    found(services, uid, 0.4, 0.9)
    (row,) = web.get("/api/worklist").json()["studies"]
    assert row == row | {
        "uid": uid,
        "patient": "Triangle^Red",
        "date": "20240229",
        "modalities": ["CT"],
        "instances": 1,
        "state": "found",
        "labels": [{"value": "27925004", "scheme": "SCT", "meaning": "Nodule", "count": 2, "score": 0.9}],
        "review": "open",
        "to_judge": 2,
        "judged": 0,
    }


def test_states_say_how_far_the_models_are(web, study, services):
    untouched, running, failed, nothing = (study(number) for number in range(1, 5))
    work_item(services, running)
    held = services.work.claim(work_item(services, failed), "worker", timedelta(minutes=1))
    services.work.end(held.uid, held.transaction, Outcome.FAILED, "out of memory")
    found(services, nothing)
    states = {each["uid"]: each["state"] for each in web.get("/api/worklist").json()["studies"]}
    assert states == {untouched: "no model", running: "running", failed: "failed", nothing: "nothing"}
    for uid, state in states.items():
        assert uids(web, state=state) == [uid]
    (row,) = web.get("/api/worklist", params={"state": "failed"}).json()["studies"]
    assert row["reasons"] == ["ct-test: out of memory"]


def test_studies_are_found_by_what_they_say(web, study):
    study(1, PatientName="Blue^Circle", PatientID="B1", AccessionNumber="ACC7", StudyDate="20250101")
    study(2, Modality="MR")
    for asked in (
        {"patient": "circ"},
        {"patient_id": "B1"},
        {"patient_id": "B*"},
        {"accession": "ACC7"},
        {"first_date": "2025-01-01"},
        {"modality": "ct"},
    ):
        assert uids(web, **asked) == ["1.2.1"], asked
    assert uids(web, last_date="2024-12-31") == ["1.2.2"]
    assert uids(web, patient="*[%_\\") == []


def test_studies_are_found_by_their_findings(web, study, services):
    first, second, third = (study(number) for number in range(1, 4))
    found(services, first, 0.9)
    found(services, second, 0.9, code=MASS)
    assert uids(web, finding=MASS.value) == [second]
    assert uids(web, finding="1234") == []
    assert [each["meaning"] for each in web.get("/api/worklist/findings").json()] == ["Mass", "Nodule"]
    assert third not in uids(web, state="found")


def test_review_states_follow_the_verdicts(web, study, services):
    uid = study(1)
    found(services, uid, 0.9, 0.8)
    ann = {"reviewer": {"name": "Reader^Ann"}}
    for number, state in enumerate(("open", "judged")):
        path = f"/api/studies/{uid}/findings/{uid}.9.{number}/reviews"
        review = web.post(path, json={"verdict": "accept", **ann}).json()
        assert uids(web, review=state) == [uid]
    assert web.request("DELETE", f"{path}/{review['id']}", json=ann).status_code == 204
    assert uids(web, review="open") == [uid]
    assert uids(web, review="judged") == uids(web, review="signed") == uids(web, review="nothing") == []


@pytest.mark.parametrize("asked", [{}, {"state": "found"}, {"modality": "CT"}])
def test_pages_join_without_gaps_or_repeats(web, study, services, asked):
    for number in range(7):
        found(services, study(number, StudyDate=f"2024010{1 + number // 3}"), 0.5)
    seen, behind = [], None
    while behind is not None or not seen:
        page = web.get(
            "/api/worklist", params=asked | {"limit": 3} | ({"behind": behind} if behind else {})
        ).json()
        seen += [each["uid"] for each in page["studies"]]
        behind = page["next"]
    assert seen == [f"1.2.{number}" for number in range(6, -1, -1)]


def test_many_candidates_are_walked_newest_first(web, study, services, monkeypatch):
    monkeypatch.setattr("webui.worklist._CANDIDATES", 2)
    monkeypatch.setattr("webui.worklist._BATCH", 2)
    monkeypatch.setattr("webui.worklist._WALKED", 4)
    for number in range(7):
        uid = study(number)
        if number < 3:
            found(services, uid, 0.5)
    page = web.get("/api/worklist", params={"state": "found"}).json()
    assert (page["studies"], page["looked_at"], page["next"]) == ([], 4, "1.2.3")
    assert uids(web, state="found", behind=page["next"]) == ["1.2.2", "1.2.1", "1.2.0"]


def test_priors_are_earlier_studies_of_the_same_patient(web, study):
    study(1, StudyDate="20200101")
    study(2, StudyDate="20210101")
    study(3, StudyDate="20220101", PatientID="P2")
    priors = {each["uid"]: each["priors"] for each in web.get("/api/worklist").json()["studies"]}
    assert priors == {"1.2.3": 0, "1.2.2": 1, "1.2.1": 0}


def test_who_asks_again_is_told_that_nothing_has_changed(web, study):
    study(1)
    tag = web.get("/api/worklist").headers["ETag"]
    assert web.get("/api/worklist", headers={"If-None-Match": tag}).status_code == 304
    study(2)
    assert web.get("/api/worklist", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "asked", [{"first_date": "yesterday"}, {"state": "x"}, {"behind": "x"}, {"limit": 0}]
)
def test_what_makes_no_sense_is_named(empty_web, asked):
    answer = empty_web.get("/api/worklist", params=asked)
    assert answer.status_code == 400
    assert next(iter(asked)) in answer.json()["detail"]
