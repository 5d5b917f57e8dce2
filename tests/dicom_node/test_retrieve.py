"""C-GET and C-MOVE, asked by DCMTK and pynetdicom: what arrives, in which form, and how it is counted."""

import logging
import shutil
import subprocess
import threading
import tracemalloc

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
)
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts, build_context, build_role

from dicom_node.fragments import batches, data_set_pdus, fragment_size
from dicom_node.peers import Peer
from dicom_node.send import send
from dicom_node.status import RETRIEVE_FAILURES
from storage.errors import StorageDown, StorageError
from tests.dicom_node.builders import ct, encoded, saved

CT = "1.2.840.10008.5.1.4.1.1.2"
PATIENT_GET, STUDY_GET = "1.2.840.10008.5.1.4.1.2.1.3", "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_MOVE, STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.2.2"
NOT_CANCELLED = 10**6


def keys(level, **values):
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def bytes_in(archive, sop):
    instance = archive.instance(sop)
    return b"".join(archive.stream(instance, archive.dataset_offset(instance)))


class Got:
    """What a retrieval brought: the data sets by SOP Instance UID, and the responses."""

    def __init__(self, answer=0x0000):
        self.sets, self.syntaxes, self.requests, self.responses = {}, {}, [], []
        self.answer = answer

    def take(self, event):
        request = event.request
        self.requests.append(request)
        self.sets[request.AffectedSOPInstanceUID] = request.DataSet.getvalue()
        self.syntaxes[request.AffectedSOPInstanceUID] = event.context.transfer_syntax
        return self.answer

    @property
    def last(self):
        return self.responses[-1][0]


def get(
    port,
    identifier,
    contexts=((CT, ExplicitVRLittleEndian),),
    model=STUDY_GET,
    *,
    cancel=NOT_CANCELLED,
    answer=0,
):
    got = Got(answer)
    entity = AE("TEST")
    entity.maximum_pdu_size = 0
    entity.add_requested_context(model, ExplicitVRLittleEndian)
    # One context for each transfer syntax, also of the same class.
    proposed = [build_context(sop_class, [syntax]) for sop_class, syntax in contexts]
    entity.requested_contexts = [*entity.requested_contexts, *proposed]
    roles = [build_role(sop_class, scp_role=True) for sop_class in {sop_class for sop_class, _ in contexts}]
    assoc = entity.associate(
        "127.0.0.1", port, ae_title="ISOCENTER", ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, got.take)]
    )
    assert assoc.is_established
    for status, failed in assoc.send_c_get(identifier, model, msg_id=5):
        got.responses.append((status, failed))
        if len(got.responses) == cancel:
            assoc.send_c_cancel(5, query_model=model)
    assoc.release()
    return got


def assert_told(pending, total):
    """Of the first sub-operation unless it is the last, and of others in order, though not of each."""
    steps = [(total - done, done, 0, 0) for done in range(1, total)]
    assert pending[:1] == steps[:1]
    assert pending == sorted(set(pending) & set(steps), reverse=True)


def counts(status):
    names = ("Remaining", "Completed", "Failed", "Warning")
    return tuple(status.get(f"NumberOf{name}Suboperations") for name in names)


@pytest.fixture
def study(port, tmp_path):
    """Data sets of one stored study: two series of two instances each."""
    (tmp_path / "files").mkdir()
    sets = []
    for series in (1, 2):
        for number in (1, 2):
            uids = {"SeriesInstanceUID": f"1.2.3.{series}", "SOPInstanceUID": f"1.2.3.{series}.{number}"}
            sets.append(
                ct(StudyInstanceUID="1.2.3", InstanceNumber=number, PixelData=bytes(range(32)), **uids)
            )
    results = send([saved(ds, tmp_path / "files") for ds in sets], "127.0.0.1", port, "ISOCENTER", "TEST")
    assert all(result.stored for result in results)
    return sets


ALL = [f"1.2.3.{series}.{number}" for series in (1, 2) for number in (1, 2)]
LEVELS = [
    (PATIENT_GET, keys("PATIENT", PatientID="DN-1"), ALL),
    (PATIENT_GET, keys("STUDY", PatientID="DN-1", StudyInstanceUID="1.2.3"), ALL),
    (STUDY_GET, keys("STUDY", StudyInstanceUID="1.2.3"), ALL),
    (STUDY_GET, keys("SERIES", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.2"), ALL[2:]),
    (STUDY_GET, keys("SERIES", SeriesInstanceUID=["1.2.3.1", "1.2.3.2"]), ALL),
    (STUDY_GET, keys("IMAGE", StudyInstanceUID="1.2.3", SOPInstanceUID=["1.2.3.1.2", "1.2.3.2.1"]), ALL[1:3]),
    (STUDY_GET, keys("IMAGE", SeriesInstanceUID="1.2.3.1", SOPInstanceUID=ALL), ALL[:2]),
    (STUDY_GET, keys("STUDY", StudyInstanceUID="9.9"), []),
]


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


def read(data, syntax):
    file_like = pydicom.filebase.DicomBytesIO(data)
    return pydicom.filereader.read_dataset(file_like, syntax.is_implicit_VR, syntax.is_little_endian)


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


@pytest.fixture
def big_study(port, tmp_path):
    (tmp_path / "big").mkdir()
    uids = {"StudyInstanceUID": "1.2.4", "SeriesInstanceUID": "1.2.4.1"}
    paths = [
        saved(ct(PixelData=bytes(500_000), Rows=500, Columns=500, **uids), tmp_path / "big")
        for _ in range(40)
    ]
    send(paths, "127.0.0.1", port, "ISOCENTER", "TEST")


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


@pytest.mark.parametrize("stored", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_big_instance_does_not_grow_memory(port, mover, free_port, tmp_path, stored):
    ds = ct(stored, PixelData=bytes(64 << 20), Rows=4096, Columns=8192)
    send([saved(ds, tmp_path)], "127.0.0.1", port, "ISOCENTER", "TEST")
    # A process of its own, so that only our memory is traced.
    storescp = [shutil.which("storescp"), "-aet", "SINK", "--ignore", "+xe", str(free_port)]
    with subprocess.Popen(storescp) as server:
        try:
            await_echo(free_port)
            tracemalloc.start()
            status, _ = move(mover, keys("IMAGE", SOPInstanceUID=ds.SOPInstanceUID))[-1]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            server.terminate()
    assert (status.Status, counts(status)) == (0x0000, (None, 1, 0, 0))
    assert peak < 24 << 20


def await_echo(port):
    for _ in range(50):
        if subprocess.run([shutil.which("echoscu"), "127.0.0.1", str(port)], check=False).returncode == 0:
            return
        threading.Event().wait(0.05)


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


# Memory and fragments


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


# C-MOVE


@pytest.fixture
def mover(start, free_port):
    """The port of a node that knows the peer SINK at `free_port`, and a down one."""
    peers = [Peer("SINK", "127.0.0.1", free_port), Peer("ANYWHERE", "")]
    return start(peers=peers)[1]


@pytest.fixture
def sink(free_port):
    """A function that starts the peer SINK of pynetdicom, which keeps what it gets."""
    servers = []

    def start(syntaxes=(ExplicitVRLittleEndian, ImplicitVRLittleEndian), first=None):
        got = Got()

        def take(event):
            if first and not got.sets:
                first(event)
            return got.take(event)

        entity = AE("SINK")
        entity.add_supported_context(CT, list(syntaxes))
        handlers = [(evt.EVT_C_STORE, take)]
        servers.append(entity.start_server(("127.0.0.1", free_port), block=False, evt_handlers=handlers))
        return got

    yield start
    for server in servers:
        server.shutdown()


@pytest.fixture
def sunk(sink):
    """What a plain SINK got."""
    return sink()


def move(port, identifier, destination="SINK", model=STUDY_MOVE, cancel=NOT_CANCELLED):
    entity = AE("MOVER")
    entity.add_requested_context(model, ImplicitVRLittleEndian)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    responses = []
    for status, failed in assoc.send_c_move(identifier, destination, model, msg_id=11, priority=1):
        responses.append((status, failed))
        if len(responses) == cancel:
            assoc.send_c_cancel(11, query_model=model)
    assoc.release()
    return responses


@pytest.mark.parametrize(("model", "asked", "expected"), LEVELS)
def test_move_at_each_level(mover, study, sunk, model, asked, expected):  # noqa: PLR0917 - three are one case
    got = sunk
    responses = move(mover, asked, model=model[:-1] + "2")
    assert sorted(got.sets) == expected
    assert got.sets == {ds.SOPInstanceUID: encoded(ds) for ds in study if ds.SOPInstanceUID in expected}
    last = responses[-1][0]
    assert (last.Status, counts(last)) == (0x0000, (None, len(expected), 0, 0))
    assert_told([counts(status) for status, _ in responses[:-1]], len(expected))
    assert {request.MoveOriginatorApplicationEntityTitle for request in got.requests} <= {"MOVER"}
    assert {(request.MoveOriginatorMessageID, request.Priority) for request in got.requests} <= {(11, 1)}


def test_move_converts_for_a_peer_that_takes_implicit_vr_only(mover, sink, study):
    got = sink([ImplicitVRLittleEndian])
    assert move(mover, keys("STUDY", StudyInstanceUID="1.2.3"))[-1][0].Status == 0x0000
    for ds in study:
        assert read(got.sets[ds.SOPInstanceUID], ImplicitVRLittleEndian) == ds


@pytest.mark.parametrize("destination", ["NOBODY", "ANYWHERE"])
def test_unknown_destination(mover, study, destination):
    ((status, _),) = move(mover, keys("STUDY", StudyInstanceUID="1.2.3"), destination)
    assert (status.Status, status.ErrorComment) == (0xA801, f"move destination '{destination}' is not known")


def test_destination_that_is_down(mover, study):
    ((status, failed),) = move(mover, keys("STUDY", StudyInstanceUID="1.2.3"))
    assert (status.Status, counts(status)) == (0xA702, (None, 0, 4, 0))
    assert "cannot connect" in status.ErrorComment
    assert sorted(failed.FailedSOPInstanceUIDList) == ALL


def test_destination_that_takes_nothing_of_this(mover, sink, study):
    sink([ExplicitVRBigEndian])
    status, failed = move(mover, keys("IMAGE", SOPInstanceUID=ALL[0]))[-1]
    assert (status.Status, failed.FailedSOPInstanceUIDList) == (0xA702, ALL[0])


def test_destination_that_breaks_off_gets_the_rest_on_a_new_association(mover, sink, study):
    got = sink(first=lambda event: event.assoc.abort())
    status, failed = move(mover, keys("STUDY", StudyInstanceUID="1.2.3"))[-1]
    assert (status.Status, counts(status)) == (0xB000, (None, 3, 1, 0))
    assert failed.FailedSOPInstanceUIDList == next(iter(got.sets))


def test_move_is_cancelled(mover, sink, big_study):
    got = sink()
    status, _ = move(mover, keys("STUDY", StudyInstanceUID="1.2.4"), cancel=1)[-1]
    remaining, completed, failed, warning = counts(status)
    assert (status.Status, remaining > 0, completed) == (0xFE00, True, len(got.sets))
    assert (remaining + completed, failed, warning) == (40, 0, 0)


def test_move_needs_more_contexts_than_one_association_has(mover, free_port, tmp_path, port, caplog):
    caplog.set_level(logging.INFO)
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts[:70]]
    sets = [ct(SOPClassUID=uid, StudyInstanceUID="1.2.5", SeriesInstanceUID="1.2.5.1") for uid in classes]
    send([saved(ds, tmp_path) for ds in sets], "127.0.0.1", port, "ISOCENTER", "TEST")
    entity = AE("SINK")
    for uid in classes:
        entity.add_supported_context(uid)
    got = Got()
    server = entity.start_server(
        ("127.0.0.1", free_port), block=False, evt_handlers=[(evt.EVT_C_STORE, got.take)]
    )
    try:
        status, _ = move(mover, keys("STUDY", StudyInstanceUID="1.2.5"))[-1]
    finally:
        server.shutdown()
    assert (status.Status, counts(status)) == (0x0000, (None, 70, 0, 0))
    assert got.sets.keys() == {ds.SOPInstanceUID for ds in sets}


def test_dcmtk_moves_to_storescp(mover, free_port, study, tmp_path):
    folder = tmp_path / "moved"
    folder.mkdir()
    storescp = [shutil.which("storescp"), "-aet", "SINK", "-od", folder, str(free_port)]
    asked = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3"]
    moving = [
        shutil.which("movescu"),
        "-S",
        "-aec",
        "ISOCENTER",
        "-aem",
        "SINK",
        *asked,
        "127.0.0.1",
        str(mover),
    ]
    with subprocess.Popen(storescp) as server:
        try:
            await_echo(free_port)
            subprocess.run(moving, check=True, capture_output=True)
        finally:
            server.terminate()
    assert {path.name.partition(".")[2] for path in folder.iterdir()} == set(ALL)
