"""The modality worklist as modalities ask for it: findscu and pynetdicom."""

import subprocess

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import ModalityWorklistInformationFind

from dicom_node.worklist import modality_worklist
from storage.keywords import from_keywords
from storage.sql.engine import connect
from storage.sql.scheduled_steps import SqlWorklist
from storage.worklist import scheduled_step
from tests.support.programs import needs


@pytest.fixture
def worklist(archive, tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'index.sqlite'}")
    yield SqlWorklist(engine)
    engine.dispose()


@pytest.fixture
def schedule(worklist):
    def scheduled(name, *, station="CT1", date="20300105", time="0930", **attributes):
        step = {
            "Modality": "CT",
            "ScheduledStationAETitle": station,
            "ScheduledProcedureStepStartDate": date,
            "ScheduledProcedureStepStartTime": time,
            "ScheduledProcedureStepDescription": "Chest",
            "ScheduledProcedureStepID": "1",
        }
        entry = {"PatientName": name, "PatientID": "P1", "ScheduledProcedureStepSequence": [step]}
        worklist.add(scheduled_step(from_keywords(entry | attributes)))

    return scheduled


@pytest.fixture
def port(start, worklist):
    return start(worklists=[modality_worklist(worklist)])[1]


def asked(*, of_step=None, **keys):
    identifier, step = Dataset(), Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 192"
    for data_set, given in ((identifier, keys), (step, of_step or {})):
        for keyword, value in given.items():
            setattr(data_set, keyword, value)
    identifier.ScheduledProcedureStepSequence = Sequence([step])
    return identifier


def find(port, identifier, *, fuzzy=False):
    entity = AE("CT1")
    entity.add_requested_context(ModalityWorklistInformationFind)
    wanted = SOPClassExtendedNegotiation()
    wanted.sop_class_uid, wanted.service_class_application_information = (
        ModalityWorklistInformationFind,
        b"\1\1\1",
    )
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", ext_neg=[wanted] if fuzzy else [])
    assert assoc.is_established
    try:
        responses = list(assoc.send_c_find(identifier, ModalityWorklistInformationFind))
    finally:
        assoc.release()
    return [answer for _, answer in responses[:-1]], [status.Status for status, _ in responses]


def test_a_modality_finds_its_steps_of_a_day(port, schedule):
    schedule("Mine^One")
    schedule("Other^Station", station="MR1")
    schedule("Other^Day", date="20300106")
    of_step = {"ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20300105"}
    of_step |= {"ScheduledProcedureStepDescription": "", "ScheduledPerformingPhysicianName": ""}
    (answer,), statuses = find(port, asked(of_step=of_step, PatientName="", StudyInstanceUID=""))
    assert statuses == [0xFF00, 0x0000]
    assert answer.PatientName == "Mine^One"
    assert answer.StudyInstanceUID.startswith("2.25.")
    (step,) = answer.ScheduledProcedureStepSequence
    assert step.ScheduledProcedureStepDescription == "Chest"
    assert step.ScheduledPerformingPhysicianName == ""
    assert "Modality" not in step  # only what was asked for
    assert "QueryRetrieveLevel" not in answer


def test_an_empty_sequence_asks_for_all_of_the_step(port, schedule):
    schedule("Doe^Jane")
    identifier = asked(PatientID="P1")
    identifier.ScheduledProcedureStepSequence = []
    (answer,), _ = find(port, identifier)
    assert answer.ScheduledProcedureStepSequence[0].Modality == "CT"


def test_names_match_without_case_and_in_other_scripts(port, schedule):
    schedule("Yamada^Tarou=山田^太郎=やまだ^たろう")
    for name in ("yamada*", "YAMADA^TAROU", "山田*"):
        (answer,), _ = find(port, asked(PatientName=name))
        assert str(answer.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert find(port, asked(PatientName="tarou yam"))[0] == []
    assert len(find(port, asked(PatientName="tarou yam"), fuzzy=True)[0]) == 1


def test_answers_use_the_character_set_of_the_request(port, schedule):
    schedule("Müller^Jörg")
    identifier = asked(PatientName="M*")
    identifier.SpecificCharacterSet = "ISO_IR 100"
    (answer,), _ = find(port, identifier)
    assert answer.SpecificCharacterSet == "ISO_IR 100"
    assert answer.PatientName == "Müller^Jörg"


def test_keys_that_make_no_sense_are_refused_with_the_reason(port):
    twice = asked(of_step={"Modality": "CT"})
    twice.ScheduledProcedureStepSequence.append(twice.ScheduledProcedureStepSequence[0])
    answers, statuses = find(port, twice)
    assert (answers, statuses) == ([], [0xC000])


@needs("findscu")
def test_findscu(port, schedule):
    schedule("Doe^Jane")
    schedule("Doe^John", time="1830")
    step = "ScheduledProcedureStepSequence[0]."
    keys = ["PatientName=doe*", f"{step}ScheduledProcedureStepStartDate=20300101-20300131"]
    keys += [f"{step}ScheduledProcedureStepStartTime=1200-1800", f"{step}Modality=CT"]
    keys += [f"{step}ScheduledProcedureStepStartDate=20300105-20300105"]
    options = [option for key in keys for option in ("-k", key)]
    done = subprocess.run(
        ["findscu", "-v", "-W", "-aec", "ISOCENTER", "127.0.0.1", str(port), *options[:4], "-k", "PatientID"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stderr + done.stdout).count("[P1") == 2
    done = subprocess.run(
        ["findscu", "-v", "-W", "-aec", "ISOCENTER", "127.0.0.1", str(port), *options[4:], "-k", "PatientID"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stderr + done.stdout).count("[P1") == 0
