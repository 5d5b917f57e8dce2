"""C-FIND, asked by DCMTK and pynetdicom: what is found, how it is written, and how it ends (PS3.4 C.4.1)."""

import re
import shutil
import subprocess

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from dicom_node import command
from dicom_node.node import Node
from dicom_node.requestor import Requestor
from dicom_node.send import VERIFICATION, send
from dicom_node.status import FIND_FAILURES
from storage.archive import Archive
from storage.errors import StorageDown, StorageError
from storage.memory import MemoryBlobs
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from tests.dicom_node.builders import ct, saved
from tests.dicom_node.retrieving import keys
from tests.support.many import add_studies

PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY = (f"1.2.840.10008.5.1.4.1.2.{n}.1" for n in (1, 2, 3))


@pytest.fixture
def filled(port, tmp_path):
    """The port of a node with two patients, three studies, four series and six instances."""
    (tmp_path / "files").mkdir()
    sets = []

    def add(study, series, number, **attributes):
        uids = {"StudyInstanceUID": f"1.2.{study}", "SeriesInstanceUID": f"1.2.{study}.{series}"}
        sop = f"1.2.{study}.{series}.{number}"
        sets.append(ct(**uids, SOPInstanceUID=sop, InstanceNumber=number, SeriesNumber=series, **attributes))

    first = {"PatientID": "A", "PatientName": "Grey^Hexagon", "StudyDate": "20240105", "StudyTime": "093000"}
    for number in (1, 2, 3):
        add(1, 1, number, StudyDescription="Chest", **first)
    add(1, 2, 1, **first | {"Modality": "SR"})
    add(2, 1, 1, **first | {"StudyDate": "20250301", "StudyDescription": "Follow up"})
    add(3, 1, 1, PatientID="B", PatientName="Red^Triangle", StudyDate="20230101", Modality="MR")
    paths = [saved(ds, tmp_path / "files") for ds in sets]
    assert all(result.stored for result in send(paths, "127.0.0.1", port, "ISOCENTER", "TEST"))
    return port


@pytest.fixture
def ask():
    """A function that sends a C-FIND and gives the statuses and the identifiers of the answers."""
    opened = []

    def ask(port, identifier, model=STUDY_ROOT, *, syntax=ExplicitVRLittleEndian, ext_neg=None, limit=None):
        entity = AE("TEST")
        entity.add_requested_context(model, syntax)
        assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", ext_neg=ext_neg or [])
        assert assoc.is_established
        opened.append(assoc)
        statuses, answers = [], []
        for status, answer in assoc.send_c_find(identifier, model, msg_id=7):
            statuses.append(status)
            if answer is not None:
                answers.append(answer)
            if limit == len(answers):
                assoc.send_c_cancel(7, query_model=model)
        assoc.release()
        return statuses, answers

    yield ask
    for assoc in opened:
        assoc.abort()


def found(ask, port, keyword, *arguments, **options):
    statuses, answers = ask(port, *arguments, **options)
    assert statuses[-1].Status == 0x0000
    assert all(status.Status in {0xFF00, 0xFF01} for status in statuses[:-1])
    return [answer.get(keyword) for answer in answers]


@pytest.mark.parametrize(
    ("level", "keyword", "expected"),
    [
        ("PATIENT", "PatientID", ["A", "B"]),
        ("STUDY", "StudyInstanceUID", ["1.2.2", "1.2.1", "1.2.3"]),
        ("SERIES", "SeriesInstanceUID", ["1.2.2.1", "1.2.1.1", "1.2.1.2", "1.2.3.1"]),
        (
            "IMAGE",
            "SOPInstanceUID",
            ["1.2.2.1.1", *(f"1.2.1.1.{n}" for n in (1, 2, 3)), "1.2.1.2.1", "1.2.3.1.1"],
        ),
    ],
)
def test_each_level_of_patient_root(filled, ask, level, keyword, expected):
    assert found(ask, filled, keyword, keys(level, **{keyword: ""}), PATIENT_ROOT) == expected


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_answer_has_the_keys_asked_for_and_how_to_retrieve(filled, ask, syntax):
    asked = keys("STUDY", StudyInstanceUID="1.2.1", ModalitiesInStudy="", PatientName="", InstitutionName="")
    asked.NumberOfStudyRelatedSeries = asked.NumberOfStudyRelatedInstances = None
    statuses, (answer,) = ask(filled, asked, syntax=syntax)
    # InstitutionName belongs to the series: not supported here.
    assert [status.Status for status in statuses] == [0xFF01, 0x0000]
    assert {element.keyword: element.value for element in answer} == {
        "InstanceAvailability": "ONLINE",
        "InstitutionName": "",
        "ModalitiesInStudy": ["CT", "SR"],
        "NumberOfStudyRelatedInstances": 4,
        "NumberOfStudyRelatedSeries": 2,
        "PatientName": "Grey^Hexagon",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "ISOCENTER",
        "StudyInstanceUID": "1.2.1",
    }


STUDIES = [
    ({"PatientName": "grey*"}, ["1.2.2", "1.2.1"]),
    ({"PatientName": "GREY^HEXAGON"}, ["1.2.2", "1.2.1"]),
    ({"PatientName": "R?d^*"}, ["1.2.3"]),
    ({"PatientID": "A"}, ["1.2.2", "1.2.1"]),
    ({"StudyDate": "20240105"}, ["1.2.1"]),
    ({"StudyDate": "20240101-20241231"}, ["1.2.1"]),
    ({"StudyDate": "-20240105"}, ["1.2.1", "1.2.3"]),
    ({"StudyDate": "20240106-"}, ["1.2.2"]),
    ({"StudyTime": "0900-1000", "StudyDate": "20240105"}, ["1.2.1"]),
    ({"StudyInstanceUID": ["1.2.1", "1.2.3"]}, ["1.2.1", "1.2.3"]),
    ({"ModalitiesInStudy": "SR"}, ["1.2.1"]),
    ({"ModalitiesInStudy": ["SR", "MR"]}, ["1.2.1", "1.2.3"]),
    ({"StudyDescription": "*w u*"}, ["1.2.2"]),
    ({"PatientID": "*"}, ["1.2.2", "1.2.1", "1.2.3"]),
    ({"PatientID": "nobody"}, []),
    # Relational: keys of levels below.
    ({"SOPInstanceUID": "1.2.3.1.1"}, ["1.2.3"]),
    ({"Modality": "SR"}, ["1.2.1"]),
    # What is no key to match by does not narrow.
    ({"NumberOfStudyRelatedSeries": 99}, ["1.2.2", "1.2.1", "1.2.3"]),
]


@pytest.mark.parametrize(("asked", "expected"), STUDIES, ids=[str(asked) for asked, _ in STUDIES])
def test_studies_are_matched(filled, ask, asked, expected):
    asked = keys("STUDY", **{"StudyInstanceUID": ""} | asked)
    assert found(ask, filled, "StudyInstanceUID", asked) == expected


def test_hierarchical_search_below_a_study_and_a_series(filled, ask):
    asked = keys(
        "SERIES", StudyInstanceUID="1.2.1", SeriesInstanceUID="", NumberOfSeriesRelatedInstances=None
    )
    statuses, answers = ask(filled, asked)
    told = [(each.SeriesInstanceUID, each.NumberOfSeriesRelatedInstances) for each in answers]
    assert told == [("1.2.1.1", 3), ("1.2.1.2", 1)]
    assert [status.Status for status in statuses] == [0xFF00, 0xFF00, 0x0000]
    asked = keys("IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1", InstanceNumber="2")
    asked.SOPInstanceUID = asked.SOPClassUID = asked.Rows = None
    (answer,) = ask(filled, asked)[1]
    assert (answer.SOPInstanceUID, answer.Rows, answer.InstanceNumber) == ("1.2.1.1.2", 4, 2)


def test_attribute_that_is_no_column_comes_from_the_header(filled, ask):
    asked = keys(
        "IMAGE", SOPInstanceUID="1.2.1.1.1", PhotometricInterpretation="", BitsStored=None, StudyID=""
    )
    statuses, (answer,) = ask(filled, asked)
    assert (answer.PhotometricInterpretation, answer.BitsStored, answer.StudyID) == ("MONOCHROME2", 16, "")
    assert statuses[0].Status == 0xFF00


def test_patients_are_counted_over_all_their_studies(filled, ask):
    asked = keys("PATIENT", PatientID="A", StudyDate="20250101-")
    asked.NumberOfPatientRelatedStudies = asked.NumberOfPatientRelatedSeries = None
    asked.NumberOfPatientRelatedInstances = None
    (answer,) = ask(filled, asked, PATIENT_ROOT)[1]
    assert answer.NumberOfPatientRelatedStudies == 2
    assert answer.NumberOfPatientRelatedSeries == 3
    assert answer.NumberOfPatientRelatedInstances == 5


def test_sequence_is_matched_and_answered_by_its_items(port, ask, tmp_path):
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP-7", "SPS-7"
    request.RequestedProcedureDescription = "not asked for"
    asked_for = ct(RequestAttributesSequence=[request])
    send([saved(ds, tmp_path) for ds in (asked_for, ct())], "127.0.0.1", port, "ISOCENTER", "TEST")
    item = Dataset()
    item.RequestedProcedureID, item.ScheduledProcedureStepID = "RP*", ""
    statuses, (answer,) = ask(port, keys("SERIES", RequestAttributesSequence=[item], SeriesInstanceUID=""))
    assert answer.SeriesInstanceUID == asked_for.SeriesInstanceUID
    (told,) = answer.RequestAttributesSequence
    assert {each.keyword: each.value for each in told} == {
        "RequestedProcedureID": "RP-7",
        "ScheduledProcedureStepID": "SPS-7",
    }
    assert statuses[0].Status == 0xFF00


CANNOT = [
    (keys("PATIENT", PatientID=""), 0xA900, "'PATIENT', not one of STUDY"),
    (keys("WHATEVER"), 0xA900, "'WHATEVER'"),
    (keys("STUDY", PatientID=["A*", "B"]), 0xC000, "PatientID"),
    (keys("STUDY", StudyDate=["20240101-", "20240105"]), 0xC000, "StudyDate"),
]


@pytest.mark.parametrize(("asked", "status", "reason"), CANNOT, ids=[row[2] for row in CANNOT])
def test_request_that_makes_no_sense_is_refused_with_a_reason(filled, ask, asked, status, reason):
    statuses, answers = ask(filled, asked)
    assert [each.Status for each in statuses] == [status]
    assert reason in statuses[0].ErrorComment
    assert answers == []


def test_request_without_a_level_is_refused(filled, ask):
    asked = Dataset()
    asked.PatientID = "A"
    (status,), _ = ask(filled, asked)
    assert (status.Status, "is none" in status.ErrorComment) == (0xA900, True)


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"\x08\0\x52\0CS\xff\xff" + b"STUDY ", bytes(5000)])
def test_identifier_that_is_no_data_set_is_refused_and_the_association_lives(port, garbage):
    proposal = (STUDY_ROOT, ExplicitVRLittleEndian)
    find = command._encode(
        {
            command.AFFECTED_SOP_CLASS_UID: STUDY_ROOT.encode() + b"\0" * (len(STUDY_ROOT) % 2),
            command.COMMAND_FIELD: b"\x20\0",
            command.MESSAGE_ID: b"\1\0",
            command.PRIORITY: b"\0\0",
            command.COMMAND_DATA_SET_TYPE: b"\1\0",
        }
    )
    with Requestor(("127.0.0.1", port), "ISOCENTER", "TEST", [proposal, VERIFICATION]) as association:
        association._send([[command.p_data_tf(1, 3, find), command.p_data_tf(1, 2, garbage)]])
        answer = association._answer()
        assert answer.status in {0xA900, 0xC000}
        assert answer.reason
        assert association.echo(VERIFICATION).status == 0


def test_patient_study_only_is_an_option(start, ask):
    _, port = start(patient_study_only=True)
    (status,), _ = ask(port, keys("SERIES", SeriesInstanceUID=""), PATIENT_STUDY_ONLY)
    assert status.Status == 0xA900
    assert found(ask, port, "PatientID", keys("PATIENT", PatientID=""), PATIENT_STUDY_ONLY) == []
    entity = AE("TEST")
    entity.add_requested_context(PATIENT_STUDY_ONLY)
    entity.add_requested_context("1.2.840.10008.1.1")
    assoc = entity.associate("127.0.0.1", start()[1], ae_title="ISOCENTER")
    assert [str(context.abstract_syntax) for context in assoc.accepted_contexts] == ["1.2.840.10008.1.1"]
    assoc.release()


def test_database_that_is_down_is_a_refusal_and_the_association_lives(port, archive, ask, monkeypatch):
    def search(_):
        raise StorageDown("the index does not answer")

    monkeypatch.setattr(archive, "search", search)
    (status,), _ = ask(port, keys("STUDY"))
    assert (status.Status, status.ErrorComment) == (0xA700, "the index does not answer")


def test_every_storage_error_has_an_answer():
    assert set(FIND_FAILURES) == set(StorageError.__subclasses__())


def test_search_is_cancelled(port, ask, tmp_path):
    study = "1.2.840.99.1"
    sets = [
        ct(StudyInstanceUID=study, SeriesInstanceUID=study + ".1", PatientComments="x" * 1000)
        for _ in range(700)
    ]
    send([saved(ds, tmp_path) for ds in sets], "127.0.0.1", port, "ISOCENTER", "TEST")
    asked = keys("IMAGE", StudyInstanceUID=study, SOPInstanceUID="", PatientComments="")
    statuses, answers = ask(port, asked, limit=1)
    assert statuses[-1].Status == 0xFE00
    assert len(answers) < 700
    statuses, answers = ask(port, asked)
    assert (statuses[-1].Status, len(answers)) == (0x0000, 700)
    assert len({answer.SOPInstanceUID for answer in answers}) == 700


def test_names_match_by_their_words_when_that_was_negotiated(filled, ask):
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = STUDY_ROOT, b"\1\1\1\1\0"
    asked = keys("STUDY", PatientName="hexagon", StudyInstanceUID="")
    assert found(ask, filled, "StudyInstanceUID", asked) == []
    assert found(ask, filled, "StudyInstanceUID", asked, ext_neg=[item]) == ["1.2.2", "1.2.1"]


def names_of(test_data):
    files = sorted((test_data / "dicom" / "charset").glob("*.dcm"))
    return [ds for ds in map(pydicom.dcmread, files) if ds.get("PatientName")]


def test_names_in_every_character_set_are_found_in_theirs_and_in_utf8(port, ask, test_data):
    folder = test_data / "dicom" / "charset"
    send(sorted(folder.iterdir()), "127.0.0.1", port, "ISOCENTER", "TEST")
    sets = names_of(test_data)
    assert len(sets) >= 9
    for ds in sets:
        name = str(ds.PatientName)
        for terms in (ds.get("SpecificCharacterSet"), "ISO_IR 192"):
            asked = keys("STUDY", PatientName=name.partition("=")[0], StudyInstanceUID=ds.StudyInstanceUID)
            asked.SpecificCharacterSet = terms
            _, (answer,) = ask(port, asked)
            assert str(answer.PatientName) == name
            assert answer.SpecificCharacterSet == terms or name.isascii()


def test_text_that_the_character_set_of_the_request_lacks_comes_in_utf8(port, ask, test_data):
    send([test_data / "dicom" / "charset" / "chrRuss.dcm"], "127.0.0.1", port, "ISOCENTER", "TEST")
    expected = str(pydicom.dcmread(test_data / "dicom" / "charset" / "chrRuss.dcm").PatientName)
    for terms in (None, "ISO_IR 100", ["", "ISO 2022 IR 87"], "ISO_IR 13"):
        asked = keys("STUDY", PatientName="")
        if terms:
            asked.SpecificCharacterSet = terms
        _, (answer,) = ask(port, asked)
        if terms != ["", "ISO 2022 IR 87"]:  # JIS X 0208 has Cyrillic letters
            assert answer.SpecificCharacterSet == "ISO_IR 192"
        assert str(answer.PatientName) == expected


@pytest.mark.parametrize("option", ["-P", "-S"])
def test_dcmtk_finds(filled, option):
    asked = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", "-k", "PatientName=G*"]
    command = [shutil.which("findscu"), option, "-aec", "ISOCENTER", *asked, "127.0.0.1", str(filled)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert re.findall(r"UI \[(1\.2\.[0-9])", done.stdout + done.stderr) == ["1.2.2", "1.2.1"]


def test_dcmtk_cancels(filled):
    asked = ["-k", "QueryRetrieveLevel=IMAGE", "-k", "SOPInstanceUID", "--cancel", "1"]
    command = [shutil.which("findscu"), "-S", "-aec", "ISOCENTER", *asked, "127.0.0.1", str(filled)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_a_search_that_is_too_broad_fails_and_says_so(ask, empty_index, spool, tmp_path):
    engine = connect(f"sqlite:///{shutil.copy(empty_index, tmp_path / 'many.sqlite')}")
    add_studies(engine, 2000)
    impatient = Archive(MemoryBlobs(), SqlIndex(engine, search_seconds=0.000_001))
    node = Node(impatient, spool, aet="ISOCENTER", host="127.0.0.1", port=0)
    statuses, answers = ask(node.start(), keys("STUDY", PatientName="*qq*", StudyInstanceUID=""))
    node.stop(grace=0)
    assert answers == []
    assert [status.Status for status in statuses] == [0xA700]
    assert "narrow it" in statuses[0].ErrorComment
    impatient.close()
    engine.dispose()
