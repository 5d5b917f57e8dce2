"""C-GET, asked by DCMTK and pynetdicom: what arrives, in which form, and how it is counted."""

import shutil
import subprocess
import threading

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
)
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role

from dicom_node.fragments import batches, data_set_pdus, fragment_size
from dicom_node.send import send
from dicom_node.status import RETRIEVE_FAILURES
from storage.errors import StorageDown, StorageError
from tests.dicom_node.builders import ct, encoded, saved
from tests.dicom_node.retrieving import (
    ALL,
    CT,
    LEVELS,
    STUDY_GET,
    assert_told,
    bytes_in,
    counts,
    get,
    keys,
    read,
)


@pytest.mark.parametrize(("model", "asked", "expected"), LEVELS)
def test_get_at_each_level(port, study, model, asked, expected):
    got = get(port, asked, model=model)
    assert sorted(got.sets) == expected
    assert got.sets == {ds.SOPInstanceUID: encoded(ds) for ds in study if ds.SOPInstanceUID in expected}
    assert got.last.Status == 0x0000
    assert counts(got.last) == (None, len(expected), 0, 0)
    pending = [counts(status) for status, _ in got.responses[:-1]]
    assert_told(pending, len(expected))
    assert all(status.Status == 0xFF00 for status, _ in got.responses[:-1])


def test_every_file_comes_back_byte_for_byte(port, archive, test_data):
    files = [path for path in sorted((test_data / "dicom").rglob("*")) if path.is_file()]
    results = send(files, "127.0.0.1", port, "ISOCENTER", "TEST")
    studies = archive_studies(archive)
    instances = [each for uid in studies for each in archive.instances(uid)]
    assert len(instances) >= 0.9 * sum(result.stored for result in results)
    contexts = sorted({(each.sop_class, each.transfer_syntax) for each in instances})
    seen = {}
    for at in range(0, len(contexts), 120):
        some = contexts[at : at + 120]
        wanted = [each for each in instances if (each.sop_class, each.transfer_syntax) in some]
        got = get(port, keys("IMAGE", SOPInstanceUID=[each.key.sop for each in wanted]), some)
        assert got.last.Status == 0x0000, got.last
        seen |= got.sets
    assert seen.keys() == {each.key.sop for each in instances}
    for each in instances:
        assert seen[each.key.sop] == bytes_in(archive, each.key.sop), each


def archive_studies(archive):
    events = archive.events(limit=10_000)
    return sorted({event.study for event in events if event.kind == "instance.stored"})


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("stored", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_native_data_set_is_converted_to_what_the_peer_takes(port, tmp_path, stored, syntax):
    ds = ct(stored, PixelData=bytes(range(32)), StudyDescription="Thorax")
    send([saved(ds, tmp_path)], "127.0.0.1", port, "ISOCENTER", "TEST")
    got = get(port, keys("IMAGE", SOPInstanceUID=ds.SOPInstanceUID), [(CT, syntax)])
    assert got.last.Status == 0x0000
    assert got.syntaxes[ds.SOPInstanceUID] == syntax
    assert read(got.sets[ds.SOPInstanceUID], syntax) == ds


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_compressed_image_is_decoded_for_a_peer_that_takes_no_other(port, tmp_path, syntax):
    samples = np.arange(2 * 8 * 8, dtype=np.uint16).reshape(2, 8, 8)
    ds = ct(JPEGLSLossless, Rows=8, Columns=8, NumberOfFrames=2)
    ds.PixelData = pydicom.encaps.encapsulate([imagecodecs.jpegls_encode(each) for each in samples])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    send([saved(ds, tmp_path)], "127.0.0.1", port, "ISOCENTER", "TEST")
    got = get(port, keys("IMAGE", SOPInstanceUID=ds.SOPInstanceUID), [(CT, syntax)])
    assert got.last.Status == 0x0000
    assert read(got.sets[ds.SOPInstanceUID], syntax).PixelData == samples.tobytes()


def test_what_the_peer_takes_in_no_form_fails_and_is_named(port, study, tmp_path, caplog):
    mr = ct(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", StudyInstanceUID="1.2.3", Modality="MR")
    send([saved(mr, tmp_path)], "127.0.0.1", port, "ISOCENTER", "TEST")
    got = get(port, keys("STUDY", StudyInstanceUID="1.2.3"))
    assert sorted(got.sets) == ALL
    assert (got.last.Status, counts(got.last)) == (0xB000, (None, 4, 1, 0))
    assert got.responses[-1][1].FailedSOPInstanceUIDList == mr.SOPInstanceUID
    assert f"SOP class {mr.SOPClassUID} is accepted neither" in caplog.text


def test_object_that_cannot_be_decoded_fails_with_the_reason(port, study, tmp_path, caplog):
    broken = ct(StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.1")
    broken.PixelData = pydicom.encaps.encapsulate([b"no image"])
    broken["PixelData"].VR = "OB"
    broken["PixelData"].is_undefined_length = True
    broken.file_meta.TransferSyntaxUID = JPEG2000Lossless
    (result,) = send([saved(broken, tmp_path)], "127.0.0.1", port, "ISOCENTER", "TEST")
    assert result.stored
    got = get(port, keys("STUDY", StudyInstanceUID="1.2.3"))
    assert (got.last.Status, counts(got.last)) == (0xB000, (None, 4, 1, 0))
    assert got.responses[-1][1].FailedSOPInstanceUIDList == broken.SOPInstanceUID
    assert "it cannot be converted" in caplog.text


def test_peer_that_refuses_all_and_peer_that_warns(port, study):
    got = get(port, keys("STUDY", StudyInstanceUID="1.2.3"), answer=0xA700)
    assert (got.last.Status, counts(got.last)) == (0xA702, (None, 0, 4, 0))
    assert sorted(got.responses[-1][1].FailedSOPInstanceUIDList) == ALL
    got = get(port, keys("STUDY", StudyInstanceUID="1.2.3"), answer=0xB000)
    assert (got.last.Status, counts(got.last)) == (0xB000, (None, 0, 0, 4))


def test_peer_that_does_not_propose_to_store_gets_nothing(port, study):
    entity = AE("TEST")
    entity.add_requested_context(STUDY_GET)
    entity.add_requested_context(CT)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    ((status, failed),) = list(assoc.send_c_get(keys("IMAGE", SOPInstanceUID=ALL[0]), STUDY_GET))
    assoc.release()
    assert (status.Status, failed.FailedSOPInstanceUIDList) == (0xA702, ALL[0])


REFUSED = [
    (keys("PATIENT", PatientID="DN-1"), 0xA900),
    (keys("STUDY", PatientID="DN-1"), 0xA900),
    (keys("SERIES", StudyInstanceUID="1.2.3"), 0xA900),
    (keys("IMAGE", SOPInstanceUID=""), 0xA900),
]


@pytest.mark.parametrize(("asked", "status"), REFUSED)
def test_identifier_that_names_nothing_at_its_level_is_refused(port, study, asked, status):
    got = get(port, asked)
    assert (got.last.Status, got.sets) == (status, {})
    assert got.last.ErrorComment


def test_database_that_is_down_refuses(port, archive, study, monkeypatch):
    def instances(*_, **__):
        raise StorageDown("the index does not answer")

    monkeypatch.setattr(archive, "instances", instances)
    assert get(port, keys("STUDY", StudyInstanceUID="1.2.3")).last.Status == 0xA701


def test_every_storage_error_has_an_answer():
    assert set(RETRIEVE_FAILURES) == set(StorageError.__subclasses__())


def test_get_is_cancelled(port, big_study):
    got = get(port, keys("STUDY", StudyInstanceUID="1.2.4"), cancel=1)
    remaining, completed, failed, warning = counts(got.last)
    assert got.last.Status == 0xFE00
    assert remaining > 0
    assert completed == len(got.sets)
    assert (remaining + completed, failed, warning) == (40, 0, 0)


def test_peer_that_leaves_in_the_middle_hinders_nobody(port, big_study, study):
    stop = threading.Event()

    def take(event):
        stop.set()
        event.assoc.abort()
        return 0

    entity = AE("TEST")
    entity.dimse_timeout = 1
    entity.add_requested_context(STUDY_GET)
    entity.add_requested_context(CT)
    handlers = [(evt.EVT_C_STORE, take)]
    roles = [build_role(CT, scp_role=True)]
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", ext_neg=roles, evt_handlers=handlers)
    list(assoc.send_c_get(keys("STUDY", StudyInstanceUID="1.2.4"), STUDY_GET))
    assert stop.is_set()
    assert get(port, keys("STUDY", StudyInstanceUID="1.2.3")).last.Status == 0x0000


def test_node_that_stops_ends_a_retrieval_after_its_grace(start, big_study):
    node, port = start()
    stopping = threading.Event()

    def take(_):
        if not stopping.is_set():
            stopping.set()
            threading.Thread(target=node.stop, kwargs={"grace": 0.2}).start()
        threading.Event().wait(0.1)
        return 0

    entity = AE("TEST")
    entity.add_requested_context(STUDY_GET)
    entity.add_requested_context(CT)
    options = {"ext_neg": [build_role(CT, scp_role=True)], "evt_handlers": [(evt.EVT_C_STORE, take)]}
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", **options)
    responses = list(assoc.send_c_get(keys("STUDY", StudyInstanceUID="1.2.4"), STUDY_GET))
    assert "Status" not in responses[-1][0]  # what pynetdicom gives for an association that was aborted


def test_dcmtk_gets_a_study(port, study, tmp_path):
    folder = tmp_path / "got"
    folder.mkdir()
    asked = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3"]
    command = [
        shutil.which("getscu"),
        "-S",
        "-aec",
        "ISOCENTER",
        "-od",
        folder,
        *asked,
        "127.0.0.1",
        str(port),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert {path.name.partition(".")[2] for path in folder.iterdir()} == set(ALL), done.stderr
    for ds in study:
        (path,) = [path for path in folder.iterdir() if path.name.endswith(f".{ds.SOPInstanceUID}")]
        assert pydicom.dcmread(path) == ds


@pytest.mark.parametrize("size", [fragment_size(0), fragment_size(16384), fragment_size(17), 2])
def test_fragments_hold_all_bytes_in_even_pieces(size):
    data = bytes(range(256)) * 40
    chunks = [data[:1], data[1:5], data[5:5000], data[5000:]]
    out = b"".join(b"".join(batch) for batch in batches(data_set_pdus(3, chunks, size)))
    back, last, at = b"", 0, 0
    while at < len(out):
        length = int.from_bytes(out[at + 2 : at + 6], "big")
        assert out[at] == 4
        assert int.from_bytes(out[at + 6 : at + 10], "big") == length - 4
        assert out[at + 10] == 3
        assert last == 0
        last = out[at + 11]
        piece = out[at + 12 : at + 6 + length]
        assert len(piece) <= size
        assert len(piece) % 2 == 0
        back, at = back + piece, at + 6 + length
    assert (back, last) == (data, 2)
