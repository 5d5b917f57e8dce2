"""MPPS as modalities use it: begun, changed, ended; and what follows from it."""

import time
from datetime import timedelta

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve

from dicom_node.performed_steps import PerformedSteps
from dicom_node.send import send
from inference.triggers import Triggers
from inference.workitems_sql import SqlWorkItems
from storage.keywords import from_keywords
from storage.sql.engine import connect
from storage.sql.performed_steps import SqlPerformedSteps
from storage.sql.scheduled_steps import SqlWorklist
from storage.worklist import scheduled_step
from tests.dicom_node.builders import ct, saved

MPPS = ModalityPerformedProcedureStep


@pytest.fixture
def engine(archive, tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'index.sqlite'}")
    yield engine
    engine.dispose()


@pytest.fixture
def performed(engine):
    return SqlPerformedSteps(engine)


@pytest.fixture
def port(start, performed):
    return start(services=[PerformedSteps(performed)])[1]


@pytest.fixture
def modality(port):
    entity = AE("CT1")
    entity.add_requested_context(MPPS)
    entity.add_requested_context(ModalityPerformedProcedureStepRetrieve)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    assert assoc.is_established
    yield assoc
    assoc.release()


def data_set(**attributes):
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def begin(study="1.2.3", step_id="SPS1", **changes):
    scheduled = data_set(StudyInstanceUID=study, ScheduledProcedureStepID=step_id)
    attributes = {
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "CT1",
        "PerformedProcedureStepStartDate": "20300105",
        "PerformedProcedureStepStartTime": "0930",
        "Modality": "CT",
        "PatientName": "Müller^Jörg",
        "ScheduledStepAttributesSequence": [scheduled],
        "PerformedSeriesSequence": [],
    }
    return data_set(**attributes | changes)


def end(*images, status="COMPLETED", **changes):
    references = [
        data_set(ReferencedSOPClassUID=each.SOPClassUID, ReferencedSOPInstanceUID=each.SOPInstanceUID)
        for each in images
    ]
    series = data_set(
        SeriesInstanceUID=images[0].SeriesInstanceUID if images else generate_uid(),
        ProtocolName="Chest",
        ReferencedImageSequence=references,
    )
    attributes = {
        "PerformedProcedureStepStatus": status,
        "PerformedProcedureStepEndDate": "20300105",
        "PerformedProcedureStepEndTime": "0945",
        "PerformedSeriesSequence": [series],
    }
    return data_set(**attributes | changes)


def create(modality, attributes, sop):
    return modality.send_n_create(attributes, MPPS, sop)[0]


def change(modality, attributes, sop):
    return modality.send_n_set(attributes, MPPS, sop)[0]


def test_a_step_is_begun_changed_ended_and_read(modality, performed):
    sop = generate_uid()
    assert create(modality, begin(), sop).Status == 0x0000
    assert change(modality, data_set(PerformedProcedureStepDescription="Brust"), sop).Status == 0x0000
    assert change(modality, end(), sop).Status == 0x0000
    tags = [0x00100010, 0x00400252, 0x00400254]
    # After a call its reactor wakes up, and would take the next answer from it.
    while modality._is_paused:
        time.sleep(0.01)
    status, there = modality.send_n_get(tags, ModalityPerformedProcedureStepRetrieve, sop)
    assert status.Status == 0x0000
    assert there.PatientName == "Müller^Jörg"
    assert there.PerformedProcedureStepStatus == "COMPLETED"
    assert there.PerformedProcedureStepDescription == "Brust"
    assert "Modality" not in there
    assert performed.get(sop).peer == "CT1"


def test_a_step_that_has_ended_may_not_be_changed(modality):
    sop = generate_uid()
    create(modality, begin(), sop)
    change(modality, end(status="DISCONTINUED"), sop)
    answer = change(modality, end(), sop)
    assert answer.Status == 0x0110
    assert answer.ErrorID == 0xA710
    assert answer.ErrorComment == "Performed Procedure Step Object may no longer be updated"


def test_uids_are_taken_once_and_known(modality):
    sop = generate_uid()
    assert create(modality, begin(), sop).Status == 0x0000
    assert create(modality, begin(), sop).Status == 0x0111
    assert change(modality, end(), generate_uid()).Status == 0x0112
    assert modality.send_n_get([], ModalityPerformedProcedureStepRetrieve, generate_uid())[0].Status == 0x0112


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106, "'COMPLETED', not IN PROGRESS"),
        ({"PerformedStationAETitle": ""}, 0x0121, "00400241"),
        ({"ScheduledStepAttributesSequence": []}, 0x0121, "00400270"),
    ],
)
def test_beginnings_that_lack_something_are_refused(modality, changes, status, reason):
    answer = create(modality, begin(**changes), generate_uid())
    assert answer.Status == status
    assert reason in answer.ErrorComment


def test_absent_attributes_are_named(modality):
    attributes = begin()
    del attributes.PerformedProcedureStepID
    answer = create(modality, attributes, generate_uid())
    assert answer.Status == 0x0120
    assert "00400253" in answer.ErrorComment


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        (end(PerformedSeriesSequence=[]), 0x0121),
        (end(PerformedProcedureStepEndDate=""), 0x0121),
        (data_set(PerformedProcedureStepStatus="DISCONTINUED"), 0x0120),
        (data_set(PerformedProcedureStepStatus="PAUSED"), 0x0106),
    ],
)
def test_ends_that_lack_something_are_refused_and_change_nothing(modality, performed, attributes, status):
    sop = generate_uid()
    create(modality, begin(), sop)
    assert change(modality, attributes, sop).Status == status
    assert performed.get(sop).state == "IN PROGRESS"


def test_what_may_not_change_is_left_with_a_warning(modality, performed):
    sop = generate_uid()
    create(modality, begin(), sop)
    answer = change(modality, end(PatientName="Other"), sop)
    assert (answer.Status, answer.AttributeIdentifierList) == (0x0107, 0x00100010)
    step = performed.get(sop)
    assert step.state == "COMPLETED"
    assert step.attributes["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]


def test_the_worklist_follows(modality, engine):
    worklist = SqlWorklist(engine)
    item = {
        "Modality": "CT",
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepStartDate": "20300105",
        "ScheduledProcedureStepStartTime": "0930",
        "ScheduledProcedureStepDescription": "Chest",
        "ScheduledProcedureStepID": "SPS1",
    }
    entry = {"PatientName": "M", "PatientID": "1", "StudyInstanceUID": "1.2.3"}
    worklist.add(scheduled_step(from_keywords(entry | {"ScheduledProcedureStepSequence": [item]})))
    sop = generate_uid()
    create(modality, begin(), sop)
    (open_step,) = worklist.search({})
    assert open_step.state == "STARTED"
    change(modality, end(), sop)
    assert list(worklist.search({})) == []
    assert worklist.get("1.2.3", "SPS1").state == "COMPLETED"


class NoModels:
    def cards(self):
        return []

    def external(self):
        return []


@pytest.fixture
def triggers(archive, engine, performed):
    work = SqlWorkItems(engine)
    return Triggers(archive, work, NoModels(), settle=1000, quiet=1000, performed=performed)


@pytest.mark.parametrize("told_first", [True, False])
def test_a_series_is_complete_as_soon_as_all_is_there_that_was_told(
    modality, port, triggers, tmp_path, told_first
):
    first = ct()
    second = ct(StudyInstanceUID=first.StudyInstanceUID, SeriesInstanceUID=first.SeriesInstanceUID)
    sop = generate_uid()
    create(modality, begin(first.StudyInstanceUID), sop)

    def store(image):
        results = send([saved(image, tmp_path)], "127.0.0.1", port, "ISOCENTER", "CT1")
        assert results[0].stored
        triggers.poll()

    def waiting():
        return triggers._work.arrivals.waiting([str(first.SeriesInstanceUID)])

    def tell():
        assert change(modality, end(first, second), sop).Status == 0x0000
        triggers.poll()

    if told_first:
        tell()
    store(first)
    assert waiting()[first.SeriesInstanceUID].due_at > triggers._clock() + timedelta(minutes=10)
    store(second)
    if not told_first:
        assert waiting()
        tell()
    assert not waiting()  # it was due, and was taken
