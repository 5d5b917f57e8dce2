"""What peers send is stored as it came, and answered as PS3.4 B.2.3 says."""

import io
import shutil
import subprocess
import tomllib
import tracemalloc
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.presentation import build_context

from dicom_node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.part10 import file_head
from dicom_node.requestor import Requestor
from dicom_node.send import VERIFICATION, send
from dicom_node.status import FAILURES, Answer
from storage.errors import InvalidInstance, StorageError, StorageFull
from storage.header import read_header
from storage.non_patient import SOP_CLASSES as NON_PATIENT
from storage.part10 import read_meta
from tests.dicom_node.builders import ct, encoded, saved

CT = "1.2.840.10008.5.1.4.1.1.2"


def stored_dataset(archive, instance):
    return b"".join(archive.stream(instance, archive.dataset_offset(instance)))


def test_every_file_is_stored_byte_for_byte_or_refused_with_a_reason(port, archive, test_data):
    files = [path for path in sorted((test_data / "dicom").rglob("*")) if path.is_file()]
    results = send(files, "127.0.0.1", port, "ISOCENTER", "TEST")
    assert [result.path for result in results] == files
    stored = [result.path for result in results if result.stored]
    for path in stored:
        meta = read_meta(path.read_bytes())
        if meta.sop_class in NON_PATIENT:
            continue  # of no study, and kept elsewhere
        instance = archive.instance(read_header(path).key.sop)
        assert stored_dataset(archive, instance) == path.read_bytes()[meta.dataset_offset :], path
        assert instance.transfer_syntax == meta.transfer_syntax
    refused = [result for result in results if not result.stored]
    assert all(result.reason for result in refused)
    valid = {read_header(path).key.sop for path in files if is_valid(path)}
    assert {archive.instance(sop).key.sop for sop in valid} == valid


def is_valid(path):
    try:
        read_header(path)
    except InvalidInstance:
        return False
    return True


@pytest.mark.parametrize("nagle", [True, False])
@pytest.mark.parametrize("sender", ["storescu", "dcmsend"])
def test_dcmtk_sends(port, archive, test_data, sender, nagle):
    folder = test_data / "dicom" / "ct-series" / "ge-head-28"
    command = [shutil.which(sender), "+sd", "+r", "-aec", "ISOCENTER", "127.0.0.1", str(port), str(folder)]
    environment = {} if nagle else {"TCP_NODELAY": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    first = pydicom.dcmread(next(folder.iterdir()))
    assert len(archive.instances(first.StudyInstanceUID)) == len(list(folder.iterdir()))
    assert archive.instance(first.SOPInstanceUID).transfer_syntax == first.file_meta.TransferSyntaxUID


def test_dcmtk_verifies(port):
    command = [shutil.which("echoscu"), "-aec", "ISOCENTER", "127.0.0.1", str(port)]
    assert subprocess.run(command, check=False).returncode == 0


def test_pynetdicom_stores_and_verifies_on_one_association(port, archive):
    entity = AE("OTHER")
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    entity.add_requested_context("1.2.840.10008.1.1")
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    try:
        for ds in (ct(), ct(), ct()):
            assert assoc.send_c_echo().Status == 0
            assert assoc.send_c_store(ds).Status == 0
            assert archive.instance(ds.SOPInstanceUID).key.study == ds.StudyInstanceUID
    finally:
        assoc.release()


def test_file_meta_names_the_object_its_encoding_and_who_brought_it(port, archive, tmp_path):
    ds = ct()
    send([saved(ds, tmp_path)], "127.0.0.1", port, "ISOCENTER", "CT01")
    with archive.open(archive.instance(ds.SOPInstanceUID)) as file:
        data = file.read()
    meta = pydicom.dcmread(io.BytesIO(data)).file_meta
    start = 144 + meta.FileMetaInformationGroupLength
    assert data[start:] == encoded(ds)
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert (meta.SourceApplicationEntityTitle, meta.SendingApplicationEntityTitle) == ("CT01", "CT01")
    assert meta.ReceivingApplicationEntityTitle == "ISOCENTER"


def test_ae_title_that_no_file_can_hold_is_cut_to_what_it_can():
    head = file_head(CT, "1.2", ExplicitVRLittleEndian, "CT\\1 MÜNCHEN WITH TAIL", "B")
    meta = pydicom.dcmread(io.BytesIO(head)).file_meta
    assert meta.SourceApplicationEntityTitle == "CT1 MNCHEN WITH"


def test_implementation_version_is_that_of_the_package():
    root = Path(__file__).parents[2]
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert f"ISOCENTER_{version}" == IMPLEMENTATION_VERSION_NAME
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


def store(port, request_sop, dataset, transfer_syntax=ExplicitVRLittleEndian, sop_class=CT):
    proposal = (sop_class, transfer_syntax)
    with Requestor(("127.0.0.1", port), "ISOCENTER", "TEST", [proposal]) as association:
        return association.store(proposal, request_sop, io.BytesIO(dataset))


def test_same_instance_again_is_success(port):
    ds = ct()
    assert store(port, ds.SOPInstanceUID, encoded(ds)).status == 0x0000
    assert store(port, ds.SOPInstanceUID, encoded(ds)).status == 0x0000


def test_other_bytes_under_the_same_uid_are_refused_as_duplicate(port, archive):
    ds = ct()
    store(port, ds.SOPInstanceUID, encoded(ds))
    other = ct(**{each.keyword: each.value for each in ds}, PatientComments="other")
    answer = store(port, ds.SOPInstanceUID, encoded(other))
    assert answer.status == 0xC111
    assert "already stored" in answer.reason
    assert stored_dataset(archive, archive.instance(ds.SOPInstanceUID)) == encoded(ds)


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_data_set_of_another_instance_is_not_stored(port, archive, transfer_syntax, tmp_path):
    path = saved(ct(transfer_syntax), tmp_path)
    dataset = path.read_bytes()[read_meta(path.read_bytes()).dataset_offset :]
    answer = store(port, generate_uid(), dataset, transfer_syntax)
    assert answer.status == 0xA900
    assert archive.events() == []


def test_data_set_of_another_sop_class_is_stored_with_a_warning(port, archive):
    ds = ct(SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    answer = store(port, ds.SOPInstanceUID, encoded(ds))
    assert answer.status == 0xB007
    assert answer.stored
    assert archive.instance(ds.SOPInstanceUID).sop_class == ds.SOPClassUID


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [(b"", "StudyInstanceUID"), (bytes(100), ""), (b"\x08\0\x18\0UI", ""), (b"garbage" * 99, "")],
)
def test_what_is_no_data_set_cannot_be_understood(port, archive, dataset, reason):
    answer = store(port, "1.2.3", dataset)
    assert answer.status == 0xC000
    assert reason in answer.reason
    assert archive.events() == []


def test_request_whose_uid_is_none_cannot_be_understood(port, archive):
    answer = store(port, "../../etc", encoded(ct()))
    assert answer.status == 0xC000
    assert "Affected SOP Instance UID" in answer.reason
    assert archive.events() == []


@pytest.mark.parametrize("sop", ["", "1.2\xb5", "1" * 65, "1..2"])
def test_uid_of_any_kind_is_answered(port, sop):
    with Requestor(("127.0.0.1", port), "ISOCENTER", "T", [(CT, ExplicitVRLittleEndian)]) as association:
        for _ in range(2):
            answer = association.store((CT, ExplicitVRLittleEndian), sop, io.BytesIO(encoded(ct())))
            assert answer.status == 0xC000


def test_every_broken_file_is_stored_or_refused_and_no_association_ends(port, test_data):
    files = [path for path in sorted((test_data / "bad").rglob("*")) if path.is_file()]
    with Requestor(("127.0.0.1", port), "ISOCENTER", "OTHER", [VERIFICATION]) as other:
        results = send(files, "127.0.0.1", port, "ISOCENTER", "TEST")
        assert other.echo(VERIFICATION).status == 0
    assert all(result.status in {0x0000, 0xC000, 0xC111} for result in results if result.status is not None)
    with Requestor(("127.0.0.1", port), "ISOCENTER", "T", [(CT, ExplicitVRLittleEndian)]) as association:
        for number, result in enumerate(results):
            if result.status is None:
                assert "association" not in result.reason
                assert "connection" not in result.reason
                # What our own sender does not touch is sent all the same, meta information and all.
                data = io.BytesIO(result.path.read_bytes()[132:])
                answer = association.store((CT, ExplicitVRLittleEndian), f"1.2.3.{number}", data)
                assert answer.status in {0xA900, 0xC000}


def test_storage_that_is_down_is_answered_so_that_the_peer_tries_again(port, archive, spool):
    shutil.rmtree(spool.folder)
    ds = ct(PixelData=bytes(3 << 20))
    with Requestor(("127.0.0.1", port), "ISOCENTER", "T", [(CT, ExplicitVRLittleEndian)]) as association:
        answer = association.store((CT, ExplicitVRLittleEndian), ds.SOPInstanceUID, io.BytesIO(encoded(ds)))
        assert answer.status == 0xA701
        spool.folder.mkdir()
        again = association.store((CT, ExplicitVRLittleEndian), ds.SOPInstanceUID, io.BytesIO(encoded(ds)))
        assert again.status == 0x0000


def test_every_storage_error_has_a_status():
    assert set(FAILURES) == set(StorageError.__subclasses__())


def test_statuses_are_those_the_standard_foresees_for_storage():
    failures = set(FAILURES.values())
    assert all(status >> 8 in {0xA7, 0xA9} or status >> 12 == 0xC or status == 0x0110 for status in failures)
    assert FAILURES[StorageFull] == 0xA700


def test_error_comment_fits_its_vr():
    comment = Answer(0xC000, "ü" * 10 + "\\" + "x" * 100).comment("1.2")
    assert comment == "?" * 11 + "x" * 50 + "..."
    assert len(comment) == 64


def test_big_instance_does_not_grow_memory(port, archive, tmp_path):
    ds = ct(PixelData=bytes(64 << 20), Rows=4096, Columns=8192)
    path = saved(ds, tmp_path)
    del ds.PixelData
    tracemalloc.start()
    try:
        (result,) = send([path], "127.0.0.1", port, "ISOCENTER", "TEST")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.stored
    assert peak < 16 << 20
    assert archive.instance(ds.SOPInstanceUID).size > 64 << 20


def test_private_sop_class_is_stored_when_the_settings_name_it(start, archive):
    private = "1.2.826.0.1.3680043.9.9999.1"
    ds = ct(SOPClassUID=private)
    _, port = start()
    with Requestor(("127.0.0.1", port), "ISOCENTER", "T", [(private, ExplicitVRLittleEndian)]) as association:
        assert not association.accepts((private, ExplicitVRLittleEndian))
    _, port = start(private_sop_classes=[private])
    assert store(port, ds.SOPInstanceUID, encoded(ds), sop_class=private).status == 0
    assert archive.instance(ds.SOPInstanceUID).sop_class == private


def test_of_several_transfer_syntaxes_one_without_decoder_and_with_vrs_is_taken(port):
    entity = AE("OTHER")
    entity.requested_contexts = [
        build_context(CT, ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]),
        build_context("1.2.840.10008.5.1.4.1.1.4", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"]),
    ]
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    chosen = [str(context.transfer_syntax[0]) for context in assoc.accepted_contexts]
    assoc.release()
    assert chosen == ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"]
