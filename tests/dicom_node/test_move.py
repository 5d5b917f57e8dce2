"""C-MOVE, asked by DCMTK and pynetdicom: what reaches the destination, and what the asker hears."""

import logging
import shutil
import subprocess
import threading
import tracemalloc

import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts

from dicom_node.peers import Peer
from dicom_node.send import send
from tests.dicom_node.builders import ct, encoded, saved
from tests.dicom_node.retrieving import ALL, CT, LEVELS, Got, assert_told, counts, keys, move, read


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
