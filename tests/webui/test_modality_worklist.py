"""The modality worklist over HTTP."""

import pytest

STEP = {
    "PatientName": "Doe^Jane",
    "PatientID": "P1",
    "ScheduledProcedureStepSequence": [
        {
            "Modality": "CT",
            "ScheduledStationAETitle": ["CT1", "CT2"],
            "ScheduledProcedureStepStartDate": "20300105",
            "ScheduledProcedureStepStartTime": "0930",
            "ScheduledProcedureStepDescription": "Chest",
        }
    ],
}
ROOT = "/api/modality-worklist"


def test_life_of_a_step(web):
    added = web.post(ROOT, json=STEP)
    assert added.status_code == 201
    step, address = added.json(), added.headers["Location"]
    assert step["StudyInstanceUID"].startswith("2.25.")
    assert step["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepStatus"] == "SCHEDULED"
    assert web.get(address).json() == step
    assert web.get(ROOT, params={"key": ["PatientName=doe*", "Modality=CT"]}).json() == [step]
    assert web.get(ROOT, params={"key": "Modality=MR"}).json() == []
    assert web.put(address, json=step | {"PatientID": "P2"}).status_code == 200
    assert web.get(address).json()["PatientID"] == "P2"
    assert web.post(ROOT, json=step).status_code == 409
    assert web.delete(address).status_code == 204
    for answer in (web.get(address), web.delete(address), web.put(address, json=step)):
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"PatientID": None}, "PatientID"),
        ({"Patient": "x"}, "Patient is no attribute"),
        ({"PatientSex": {}}, "PatientSex"),
    ],
)
def test_mistakes_are_named(empty_web, change, named):
    answer = empty_web.post(ROOT, json=STEP | change)
    assert answer.status_code == 400
    assert named in answer.json()["detail"]


def test_keys_that_make_no_sense_are_named(empty_web):
    answer = empty_web.get(ROOT, params={"key": "ScheduledProcedureStepStartDate=soon"})
    assert answer.status_code == 400
    assert "00400002" in answer.json()["detail"]


def test_the_address_is_that_of_the_step(empty_web):
    answer = empty_web.put(f"{ROOT}/1.2/3", json=STEP)
    assert answer.status_code == 400
    assert "address" in answer.json()["detail"]


def test_forms_of_other_pages_are_refused(empty_web):
    assert empty_web.post(ROOT, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
