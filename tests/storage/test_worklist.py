"""Scheduled procedure steps in both databases."""

import pytest

from storage.keywords import from_keywords
from storage.sql.scheduled_steps import SqlWorklist
from storage.worklist import InvalidStep, TakenStep, nested, scheduled_step

STEP = {
    "PatientName": "Doe^Jane",
    "PatientID": "P1",
    "ScheduledProcedureStepSequence": [
        {
            "Modality": "CT",
            "ScheduledStationAETitle": "CT1",
            "ScheduledProcedureStepStartDate": "20300105",
            "ScheduledProcedureStepStartTime": "0930",
            "ScheduledProcedureStepDescription": "Chest",
        }
    ],
}


def step(*, of_step=None, **attributes):
    item = STEP["ScheduledProcedureStepSequence"][0] | (of_step or {})
    return scheduled_step(from_keywords(STEP | attributes | {"ScheduledProcedureStepSequence": [item]}))


@pytest.fixture
def worklist(engine):
    return SqlWorklist(engine)


def found(worklist, *keys):
    return list(worklist.search(from_keywords(nested(keys))))


def test_added_replaced_removed(worklist):
    first = step()
    worklist.add(first)
    assert worklist.get(first.study, first.step_id) == first
    changed = step(
        StudyInstanceUID=first.study, PatientID="P2", of_step={"ScheduledProcedureStepID": first.step_id}
    )
    assert worklist.replace(changed)
    assert [each.attributes for each in found(worklist, "PatientID=P2")] == [changed.attributes]
    assert found(worklist, "PatientID=P1") == []
    with pytest.raises(TakenStep, match=first.step_id):
        worklist.add(first)
    assert worklist.remove(first.study, first.step_id)
    assert not worklist.remove(first.study, first.step_id)
    assert not worklist.replace(first)
    assert worklist.get(first.study, first.step_id) is None


def test_answers_come_in_order_of_their_start(worklist):
    for date, time in (("20300106", "0800"), ("20300105", "1000"), ("20300105", "0900")):
        worklist.add(
            step(of_step={"ScheduledProcedureStepStartDate": date, "ScheduledProcedureStepStartTime": time})
        )
    starts = [each.step["00400003"]["Value"] for each in found(worklist)]
    assert starts == [["0900"], ["1000"], ["0800"]]
    assert len(found(worklist, "ScheduledProcedureStepStartDate=20300105")) == 2
    assert len(found(worklist, "ScheduledProcedureStepStartDate=20300106-")) == 1


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED", "CANCELED"])
def test_what_is_over_is_found_by_its_status_alone(worklist, state):
    worklist.add(step(of_step={"ScheduledProcedureStepStatus": state}))
    assert found(worklist) == found(worklist, "ScheduledProcedureStepStatus=*") == []
    assert len(found(worklist, f"ScheduledProcedureStepStatus={state}")) == 1


def test_long_worklists_are_answered_whole(worklist, monkeypatch):
    monkeypatch.setattr("storage.sql.scheduled_steps._PAGE", 4)
    for number in range(10):
        worklist.add(step(PatientID=f"P{number}"))
    assert len(found(worklist)) == 10
    assert len(found(worklist, "PatientID=P?")) == 10


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"PatientID": None}, "PatientID"),
        ({"PatientName": None}, "PatientName"),
        ({"StudyInstanceUID": "x"}, "StudyInstanceUID"),
        ({"of_step": {"Modality": None}}, "Modality"),
        ({"of_step": {"ScheduledStationAETitle": None}}, "ScheduledStationAETitle"),
        ({"of_step": {"ScheduledProcedureStepStartDate": "5.1."}}, "StartDate"),
        ({"of_step": {"ScheduledProcedureStepStartTime": "noon"}}, "StartTime"),
        ({"of_step": {"ScheduledProcedureStepStatus": "LATE"}}, "Status"),
        ({"of_step": {"ScheduledProcedureStepDescription": None}}, "Description"),
    ],
)
def test_what_a_modality_needs_is_asked_for(attributes, named):
    with pytest.raises(InvalidStep, match=named):
        step(**attributes)


def test_a_step_needs_its_sequence():
    with pytest.raises(InvalidStep, match="ScheduledProcedureStepSequence"):
        scheduled_step(from_keywords({"PatientName": "Doe", "PatientID": "1"}))
