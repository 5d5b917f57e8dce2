"""Asking other archives: our own node, and one that is not ours; by function and from the command line."""

import json

import pydicom
import pytest
from click.testing import CliRunner
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless
from pynetdicom import AE, evt

from dicom_node import scu
from dicom_node.peers import Peer
from dicom_node.requestor import AssociationFailed
from dicom_node.scu import Remote
from dicom_node.send import send
from isocenter.cli import isocenter
from tests.dicom_node.builders import ct, saved

STUDY_FIND, STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"


@pytest.fixture
def filled(start, tmp_path, free_port):
    """The port of a node with a study of three instances, which knows the peer SINK at `free_port`."""
    _, port = start(peers=[Peer("SINK", "127.0.0.1", free_port)])
    (tmp_path / "files").mkdir()
    uids = {"StudyInstanceUID": "1.2.3", "PatientName": "Größe^Ähre", "SpecificCharacterSet": "ISO_IR 100"}
    sets = [
        ct(SeriesInstanceUID=f"1.2.3.{series}", SOPInstanceUID=f"1.2.3.{series}.{number}", **uids)
        for series, number in ((1, 1), (1, 2), (2, 1))
    ]
    send([saved(ds, tmp_path / "files") for ds in sets], "127.0.0.1", port, "ISOCENTER", "TEST")
    return port


def remote(port, called="ISOCENTER"):
    return Remote("127.0.0.1", port, called, "TEST", timeout=10)


@pytest.fixture
def run():
    """A function that runs a command against a port and gives its exit code and output."""

    def run(port, *arguments):
        result = CliRunner().invoke(isocenter, [*arguments, "--at", f"127.0.0.1:{port}"])
        return result.exit_code, result.stdout if result.exit_code != 1 else result.output

    return run


def test_find_gives_dicom_json(filled):
    (answer,) = scu.find(remote(filled), "STUDY", {"PatientName": "größe*", "StudyInstanceUID": ""})
    assert answer["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Größe^Ähre"}]}
    assert answer["0020000D"]["Value"] == ["1.2.3"]
    assert list(scu.find(remote(filled), "PATIENT", {"PatientID": "nobody"})) == []


def test_get_keeps_compressed_images_as_they_are_stored(filled, tmp_path, test_data):
    path = test_data / "dicom" / "charset" / "chrRuss.dcm"
    compressed = ct(JPEGLSLossless, StudyInstanceUID="1.2.9")
    compressed.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    compressed["PixelData"].VR = "OB"
    compressed["PixelData"].is_undefined_length = True
    sent = saved(compressed, tmp_path)
    send([path, sent], "127.0.0.1", filled, "ISOCENTER", "TEST")
    told = []
    keys = {"StudyInstanceUID": "1.2.9"}
    result = scu.get(remote(filled), "STUDY", keys, tmp_path / "got", lambda *done: told.append(done))
    assert (result.complete, result.completed, told) == (True, 1, [(1, 1)])
    got = tmp_path / "got" / f"{compressed.SOPInstanceUID}.dcm"
    assert pydicom.dcmread(got) == pydicom.dcmread(sent)
    assert pydicom.dcmread(got).file_meta.TransferSyntaxUID == JPEGLSLossless


def test_file_that_cannot_be_written_is_a_failure(filled, tmp_path):
    (tmp_path / "got" / "1.2.3.1.2.dcm").mkdir(parents=True)
    result = scu.get(remote(filled), "STUDY", {"StudyInstanceUID": "1.2.3"}, tmp_path / "got")
    assert (result.status, result.completed, result.failed) == (0xB000, 2, 1)
    assert result.failed_instances == ("1.2.3.1.2",)
    assert not result.complete


def test_failures_of_the_peer_are_named(filled, free_port):
    with pytest.raises(AssociationFailed, match="cannot connect"):
        list(scu.find(remote(free_port), "STUDY", {}))
    with pytest.raises(AssociationFailed, match="Called AE title not recognised"):
        list(scu.find(remote(filled, "WRONG"), "STUDY", {}))
    with pytest.raises(AssociationFailed, match="0xC000 PatientID: several values"):
        list(scu.find(remote(filled), "STUDY", {"PatientID": "A*\\B"}))
    with pytest.raises(ValueError, match="Nonsense is no attribute"):
        list(scu.find(remote(filled), "STUDY", {"Nonsense": ""}))


@pytest.fixture
def foreign():
    """The port of an archive of pynetdicom's, which neither retrieves nor finds much."""
    entity = AE("OTHER")
    entity.add_supported_context(STUDY_FIND)

    def answer(_):
        found = Dataset()
        found.QueryRetrieveLevel, found.StudyInstanceUID = "STUDY", "1.2.3"
        yield 0xFF00, found

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)])
    yield server.server_address[1]
    server.shutdown()


def test_archive_that_does_not_retrieve(foreign, tmp_path):
    (answer,) = scu.find(remote(foreign, "OTHER"), "STUDY", {"StudyInstanceUID": ""})
    assert answer["0020000D"]["Value"] == ["1.2.3"]
    with pytest.raises(AssociationFailed, match="does not offer Study Root Query/Retrieve - MOVE"):
        scu.move(remote(foreign, "OTHER"), "STUDY", {"StudyInstanceUID": "1.2.3"}, "SINK")
    with pytest.raises(AssociationFailed, match="does not offer Study Root Query/Retrieve - GET"):
        scu.get(remote(foreign, "OTHER"), "STUDY", {"StudyInstanceUID": "1.2.3"}, tmp_path)


def test_command_echo(filled, free_port, run):
    assert run(filled, "echo") == (0, f"ISOCENTER at 127.0.0.1:{filled} answers\n")
    assert run(filled, "echo", "--json") == (0, '{\n  "answers": true\n}\n')
    code, told = run(free_port, "echo")
    assert (code, "cannot connect" in told) == (1, True)


def test_command_find(filled, run):
    code, told = run(filled, "find", "PatientName=gr*", "StudyInstanceUID")
    assert code == 0
    assert "Größe^Ähre" in told
    code, told = run(
        filled, "find", "--level", "SERIES", "StudyInstanceUID=1.2.3", "SeriesInstanceUID", "--json"
    )
    assert [each["0020000E"]["Value"] for each in json.loads(told)] == [["1.2.3.1"], ["1.2.3.2"]]
    code, told = run(filled, "find", "Nonsense")
    assert (code, "Nonsense is no attribute" in told) == (1, True)


def test_command_find_shows_uids_as_a_whole(filled, run, tmp_path):
    ds = ct(StudyDescription="A description that takes a lot of room in its line")
    send([saved(ds, tmp_path)], "127.0.0.1", filled, "ISOCENTER", "TEST")
    _, told = run(filled, "find", f"StudyInstanceUID={ds.StudyInstanceUID}")
    assert "…" not in told
    assert ds.StudyInstanceUID[:20] in told


def test_command_get(filled, run, tmp_path):
    folder = tmp_path / "got"
    assert run(filled, "get", str(folder), "--study", "1.2.3", "--series", "1.2.3.1") == (
        0,
        "2 retrieved, 0 failed\n",
    )
    assert sorted(path.name for path in folder.iterdir()) == ["1.2.3.1.1.dcm", "1.2.3.1.2.dcm"]


def test_command_move(filled, run, start):
    code, told = run(filled, "move", "NOBODY", "--study", "1.2.3")
    assert (code, "0xA801 move destination 'NOBODY' is not known" in told) == (1, True)
    code, told = run(filled, "move", "SINK", "--study", "1.2.3", "--json")
    assert (code, '"status": "A702"' in told, '"failed": 3' in told) == (1, True, True)


def test_command_needs_host_and_port():
    result = CliRunner().invoke(isocenter, ["echo", "--at", "nowhere"])
    assert result.exit_code == 2
    assert "--at must be HOST:PORT" in result.output
