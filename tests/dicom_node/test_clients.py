"""What others offer as clients works with the node: every program, and every proposal of storescu."""

import subprocess
import sys

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from dicom_node.peers import Peer
from dicom_node.send import send
from tests.dicom_node.builders import ct, saved

STUDY = "1.2.3"
STUDY_KEYS = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}"]
PROPOSALS = ["-x=", "-xe", "-xb", "-xi", "-xd", "-xs", "-xy", "-xx", "-xv", "-xw", "-xt", "-xu", "-xr"]
VIDEO = dict(
    zip(("-xm", "-xh", "-xn", "-xl", "-x2", "-x3", "-xo", "-x4", "-x5"), range(100, 109), strict=True)
)
"""Options of storescu, and where 1.2.840.10008.1.2.4 goes on."""


def run(*command, **options):
    done = subprocess.run(
        [str(each) for each in command], check=False, capture_output=True, text=True, timeout=60, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def file(tmp_path):
    return saved(ct(StudyInstanceUID=STUDY), tmp_path)


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_storescu_with_every_proposal(port, archive, file, proposal):
    run("storescu", proposal, "-aec", "ISOCENTER", "127.0.0.1", port, file)
    assert len(archive.instances(STUDY)) == 1


@pytest.mark.parametrize("proposal", VIDEO)
def test_storescu_with_every_video(port, archive, tmp_path, proposal):
    syntax = f"1.2.840.10008.1.2.4.{VIDEO[proposal]}"
    video = ct(syntax, StudyInstanceUID=STUDY, PixelData=encapsulate([b"a stream"]), NumberOfFrames=2)
    video["PixelData"].VR = "OB"
    video["PixelData"].is_undefined_length = True
    run("storescu", proposal, "-aec", "ISOCENTER", "127.0.0.1", port, saved(video, tmp_path))
    (instance,) = archive.instances(STUDY)
    assert instance.transfer_syntax == syntax


def pynetdicom(app, port, *arguments, **options):
    command = [sys.executable, "-m", "pynetdicom", app, "127.0.0.1", port, "-aec", "ISOCENTER", *arguments]
    return run(*command, **options)


def test_pynetdicoms_programs(start, tmp_path, file, free_port, archive):
    sink = Peer("STORESCP", "127.0.0.1", free_port)
    _, port = start(peers=[sink])
    pynetdicom("echoscu", port)
    pynetdicom("storescu", port, file)
    assert len(archive.instances(STUDY)) == 1
    found = pynetdicom("findscu", port, "-S", *STUDY_KEYS, "-v")
    assert STUDY in found
    got, moved = tmp_path / "got", tmp_path / "moved"
    got.mkdir()
    moved.mkdir()
    pynetdicom("getscu", port, "-S", *STUDY_KEYS, "-od", got)
    moving = ["-S", *STUDY_KEYS, "-aem", "STORESCP", "--store", "--store-port", free_port, "-od", moved]
    pynetdicom("movescu", port, *moving)
    assert len(list(got.iterdir())) == len(list(moved.iterdir())) == 1


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_storescp_that_takes_one_compression_only_gets_it(start, tmp_path, file, free_port, syntax):
    option = {JPEGLSLossless: "+xt", JPEG2000Lossless: "+xv", RLELossless: "+xr"}[syntax]
    peer = Peer("SINK", "127.0.0.1", free_port, transfer_syntaxes=(syntax,))
    _, port = start(peers=[peer])
    send([file], "127.0.0.1", port, "ISOCENTER", "TEST")
    folder = tmp_path / "moved"
    folder.mkdir()
    command = ["storescp", option, "-aet", "SINK", "-od", str(folder), str(free_port)]
    with subprocess.Popen(command) as server:
        try:
            echo = ["echoscu", "-aec", "SINK", "127.0.0.1", str(free_port)]
            while subprocess.run(echo, check=False, capture_output=True).returncode:
                assert server.poll() is None
            run("movescu", "-S", "-aec", "ISOCENTER", "-aem", "SINK", *STUDY_KEYS, "127.0.0.1", port)
        finally:
            server.terminate()
    (moved,) = folder.iterdir()
    taken, sent = pydicom.dcmread(moved), pydicom.dcmread(file)
    assert taken.file_meta.TransferSyntaxUID == syntax
    assert (taken.pixel_array == sent.pixel_array).all()
    del taken.PixelData, sent.PixelData
    assert taken == sent
