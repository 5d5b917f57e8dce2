"""Real senders push every real file; what comes back over DICOMweb is what came in."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_node.send import send
from storage.errors import InvalidInstance
from storage.header import read_header
from tests.support.system import System, isocenter


def dataset_bytes(part10: bytes) -> bytes:
    """What follows the file meta information (PS3.10 7.1), whose group length comes first."""
    assert part10[128:132] == b"DICM"
    assert part10[132:140] == b"\x02\x00\x00\x00UL\x04\x00"
    return part10[144 + int.from_bytes(part10[140:144], "little") :]


def elements(ds: pydicom.Dataset) -> dict[str, object]:
    """All but words, whose bytes stand in another order, and group lengths, which count bytes (PS3.5 7.2)."""
    return {
        tag: value
        for tag, value in ds.to_json_dict().items()
        if not tag.endswith("0000") and value["vr"] not in {"OW", "OF", "OD", "OL"}
    }


def valid_files(test_data: Path) -> dict[Path, object]:
    """The files that have what an instance needs, by path, one for each SOP Instance UID."""
    found, seen = {}, set()
    for path in sorted((test_data / "dicom").rglob("*")):
        if path.is_file() and not path.name.endswith((".md", ".json", ".txt")):
            try:
                header = read_header(path)
            except InvalidInstance:
                continue
            if header.key.sop not in seen:
                seen.add(header.key.sop)
                found[path] = header
    return found


# Real files hold UIDs with leading zeros and the like, on both sides of the comparison.
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_every_valid_file_comes_back_with_the_bytes_that_were_sent(shared_system: System, test_data: Path):
    files = valid_files(test_data)
    assert len(files) > 200
    results = send(list(files), shared_system.host, shared_system.port, "ISOCENTER", "TEST")
    assert [(r.path, r.reason) for r in results if not r.stored] == []
    for path, header in files.items():
        url = f"{shared_system.http}/dicom-web/studies/{header.key.study}/series/{header.key.series}"
        answer = shared_system.web._http_get(
            f"{url}/instances/{header.key.sop}", headers={"Accept": "application/dicom; transfer-syntax=*"}
        ).content
        if header.transfer_syntax in {ImplicitVRLittleEndian, ExplicitVRBigEndian}:
            sent, got = pydicom.dcmread(path), pydicom.dcmread(pydicom.filebase.DicomBytesIO(answer))
            assert got.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1", path
            assert elements(got) == elements(sent), path
            if "PixelData" in sent:
                assert np.array_equal(got.pixel_array, sent.pixel_array), path
        else:
            assert dataset_bytes(answer) == path.read_bytes()[header.dataset_offset :], path


@pytest.mark.parametrize("sender", ["storescu", "dcmsend"])
def test_dcmtk_pushes_and_dicomweb_client_finds(shared_system: System, test_data: Path, sender: str):
    folder = test_data / "dicom" / "ct-series" / "ge-head-28"
    options = {"storescu": ["+sd", "+r"], "dcmsend": ["+sd", "+r"]}[sender]
    subprocess.run(
        [sender, *options, "-aec", "ISOCENTER", shared_system.host, str(shared_system.port), str(folder)],
        check=True,
        capture_output=True,
        env={"TCP_NODELAY": "1", "PATH": "/usr/bin:/bin"},
    )
    paths = [path for path in folder.rglob("*") if path.is_file()]
    first = pydicom.dcmread(paths[0], stop_before_pixels=True)
    (study,) = shared_system.web.search_for_studies(search_filters={"PatientID": first.PatientID})
    assert study["00201208"]["Value"] == [len(paths)]
    retrieved = shared_system.web.retrieve_study(first.StudyInstanceUID)
    pixels = {each.SOPInstanceUID: each.PixelData for each in retrieved}
    assert pixels == {each.SOPInstanceUID: each.PixelData for each in map(pydicom.dcmread, paths)}


def test_what_is_refused_is_refused_with_a_reason(shared_system: System, test_data: Path):
    broken = sorted((test_data / "bad" / "fuzz").rglob("*.dcm"))[::8]
    done = isocenter("import", *map(str, broken), "--json", environment=shared_system.environment)
    report = json.loads(done.stdout)
    outcomes = Counter({key: value for key, value in report.items() if key != "refused"})
    assert outcomes.total() + len(report["refused"]) == len(broken)
    assert all(each["reason"] for each in report["refused"])
    assert (done.returncode == 1) == bool(report["refused"])


def test_dcmsend_stores_every_valid_file_and_hears_why_others_are_refused(
    system: System, test_data: Path, tmp_path: Path
):
    report = tmp_path / "report.txt"
    command = ["dcmsend", "+sd", "+r", "--no-halt", "--create-report-file", str(report), "-aec", "ISOCENTER"]
    subprocess.run(
        [*command, system.host, str(system.port), str(test_data / "dicom")], check=True, capture_output=True
    )
    statuses = {
        Path(match["file"]): match["status"]
        for match in re.finditer(
            r"Filename +: (?P<file>.+)\n(?:.*\n)*?DIMSE Status +: (?P<status>.+)", report.read_text()
        )
    }
    assert len(statuses) > 200
    taken, refused = set(), 0
    for path, status in statuses.items():
        taken |= {uid_of(path)} if status.startswith("0x0000") else set()
        refused += status.startswith("0xc")
    sent = {uid_of(path) for path, status in statuses.items() if status.startswith("0x") and uid_of(path)}
    assert sent <= taken
    listed = json.loads(isocenter("refusals", "--json", environment=system.environment).stdout)
    assert refused == sum(each["times"] for each in listed) > 0
    for each in listed:
        assert "StudyInstanceUID" in each["reason"] or "already stored with other bytes" in each["reason"]


def uid_of(path: Path) -> str:
    """The SOP Instance UID of a valid file; empty for others."""
    try:
        return read_header(path).key.sop
    except InvalidInstance:
        return ""


def test_storescu_stores_every_valid_file_that_it_can_send(system: System, test_data: Path):
    command = [
        "storescu",
        "-v",
        "-R",
        "+sd",
        "+r",
        "--no-halt",
        "-aec",
        "ISOCENTER",
        system.host,
        str(system.port),
    ]
    done = subprocess.run([*command, str(test_data / "dicom")], capture_output=True, text=True, check=False)
    said = Counter(re.findall(r"Received Store Response \((.+?)\)", done.stdout + done.stderr))
    assert said["Success"] > 150, said
    assert {status for status in said if status != "Success"} <= {"Error: CannotUnderstand"}
