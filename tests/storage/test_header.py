"""Whole files: every file of the test data against pydicom, what is refused and why, what a big one costs."""

import hashlib
import json
import resource
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterator
from io import SEEK_CUR
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)

from storage.errors import InvalidInstance, StorageDown
from storage.header import Header, read_header
from storage.part10 import dataset_range
from storage.transfer_syntax import transfer_syntax
from tests.storage.data_sets import dataset_start, instance, part10
from tests.storage.expected_json import expected, with_bytes

ROOT = Path(__file__).parents[2]

REFUSED_FOR_NO_STUDY = {
    "charset/chrSQEncoding.dcm",
    "dicomdir/DICOMDIR",
    "dicomdir/DICOMDIR-empty.dcm",
    "dicomdir/DICOMDIR-implicit",
    "palette/hotiron.dcm",
    "sc/HTJ2KLossless_08_RGB.dcm",
    "sc/JLSL_08_07_0_1F.dcm",
    "sc/JPEGLSNearLossless_08.dcm",
}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def accepted(folder: Path) -> Iterator[tuple[Path, Header]]:
    for path in files(folder):
        try:
            yield path, read_header(path)
        except InvalidInstance:
            continue


def data_set_bytes(path: Path, header: Header) -> bytes:
    """What the offsets of the layout count in."""
    data = path.read_bytes()
    return (
        zlib.decompressobj(-15).decompress(data[header.dataset_offset :]) if header.layout.deflated else data
    )


def differences(ours: dict[str, Any], theirs: dict[str, Any], path: str = "") -> list[str]:
    found = []
    for tag in sorted(set(ours) | set(theirs)):
        mine, other = ours.get(tag, {}), theirs.get(tag, {})
        if mine == other:
            continue
        items = list(zip(mine.get("Value", ()), other.get("Value", ()), strict=False))
        if mine.get("vr") == other.get("vr") == "SQ" and len(mine["Value"]) == len(other["Value"]):
            for index, (item, its) in enumerate(items):
                found += differences(item, its, f"{path}{tag}/{index}/")
        else:
            found.append(f"{path}{tag}: {mine!r:.200} is not {other!r:.200}")
    return found


def against_pydicom(path: Path, header: Header) -> list[str]:
    body = data_set_bytes(path, header)

    def bulk(name: str) -> bytes:
        offset, length = header.layout.bulk[name]
        return body[offset : offset + length]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = expected(pydicom.dcmread(path))
    return [f"{path.name} {line}" for line in differences(with_bytes(header.attributes, bulk), theirs)]


def test_json_of_every_valid_file_says_what_pydicom_reads(test_data):
    headers = list(accepted(test_data / "dicom"))

    assert [line for path, header in headers for line in against_pydicom(path, header)] == []
    assert len(headers) == len(files(test_data / "dicom")) - len(REFUSED_FOR_NO_STUDY)


def test_json_of_bad_files_says_what_pydicom_reads(test_data):
    unlike = {
        "TC0009_patientname_over_64KB.dcm",  # UN because it is too long for PN, known all the same
        "TC0065_manufacturer_over_64KB.dcm",
        "badVR.dcm",  # NumberOfFrames is 1A, on which pydicom gives up
    }
    checked = [(path, header) for path, header in accepted(test_data / "bad") if path.name not in unlike]

    assert [line for path, header in checked for line in against_pydicom(path, header)] == []
    assert len(checked) > 100


def test_only_files_without_a_study_are_refused_among_the_valid_ones(test_data):
    reasons = {}
    for path in files(test_data / "dicom"):
        try:
            read_header(path)
        except InvalidInstance as error:
            reasons[path.relative_to(test_data / "dicom").as_posix()] = str(error)

    assert reasons == dict.fromkeys(REFUSED_FOR_NO_STUDY, "no StudyInstanceUID (0020,000D)")


def test_identity_and_digest_of_every_valid_file(test_data):
    for path, header in accepted(test_data / "dicom"):
        data = path.read_bytes()
        meta = pydicom.filereader.read_file_meta_info(path)

        assert header.key.sop == header.attributes["00080018"]["Value"][0]
        assert header.key.series == header.attributes["0020000E"]["Value"][0]
        assert header.transfer_syntax == meta.TransferSyntaxUID
        assert header.size == len(data)
        assert header.dataset_offset == dataset_start(data)
        assert header.digest == hashlib.sha256(data[header.dataset_offset :]).hexdigest()
        assert json.loads(header.json) == header.attributes
        assert dataset_range(path) == (header.dataset_offset, header.transfer_syntax)


def test_attributes_are_in_ascending_order(test_data):
    for _, header in accepted(test_data / "dicom"):
        assert list(header.attributes) == sorted(header.attributes)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("pydicom/MR_truncated.dcm", "cut short in (7FE0,0010): 8130 of 8192 bytes are in the file"),
        ("pydicom/meta_missing_tsyntax.dcm", "no TransferSyntaxUID (0002,0010)"),
        ("pydicom/JLSL_RGB_ILV0.dcm", "the 128 bytes before the file meta information are missing"),
        ("pydicom/ExplVR_LitEndNoMeta.dcm", "no DICM at byte 128"),
        ("pydicom/emri_small_jpeg_2k_lossless_too_short.dcm", "cut short in (7FE0,0010)"),
        ("fuzz/cat03_sequence_nesting/TC0265_depth_100.dcm", "nested deeper than 32 sequences"),
        (
            "fuzz/cat03_sequence_nesting/TC0279_stray_seq_delim.dcm",
            "(FFFE,E0DD): an item or delimitation item",
        ),
        (
            "fuzz/cat07_file_meta/TC0401_invalid_ts.dcm",
            "TransferSyntaxUID is not a UID: '999.888.777.INVALID'",
        ),
        (
            "fuzz/cat16_cve_dcmtk_null_pathtraversal/TC0859_missing_sop_class.dcm",
            "no SOPClassUID (0008,0016)",
        ),
        (
            "fuzz/cat23_cve_merge_toolkit/TC1141_oob_len_len_2GB.dcm",
            "cut short in (0010,0010): 8388 of 65535",
        ),
    ],
)
def test_refusal_names_what_is_wrong(test_data, file, reason):
    with pytest.raises(InvalidInstance) as refusal:
        read_header(test_data / "bad" / file)
    assert reason in str(refusal.value)


def test_bad_files_are_read_or_refused_and_nothing_else(test_data):
    refused = len(files(test_data / "bad")) - len(list(accepted(test_data / "bad")))

    assert 50 < refused < 100


def read(tmp_path: Path, data: bytes) -> Header:
    path = tmp_path / "instance.dcm"
    path.write_bytes(data)
    return read_header(path)


def test_missing_and_malformed_uids_are_refused(tmp_path):
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        ds = instance()
        data = part10(ds)
        uid = ds[keyword].value.encode()
        for bad in (b"." + uid[1:], b"\0" * len(uid)):
            body = data[dataset_start(data) :].replace(uid, bad, 1)
            with pytest.raises(InvalidInstance, match=keyword):
                read(tmp_path, data[: dataset_start(data)] + body)


def test_contradiction_between_file_meta_and_data_set_is_told(tmp_path):
    data = part10(instance())
    start = dataset_start(data)

    header = read(tmp_path, data[:start].replace(b"1.2.3", b"1.2.9") + data[start:])

    assert header.key.sop == "1.2.3"
    assert header.warnings == ("(0002,0003): '1.2.9' is not what the data set says",)


def test_unknown_transfer_syntax_is_read_as_explicit_little_endian(tmp_path):
    data = part10(instance()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0")

    header = read(tmp_path, data)

    assert header.transfer_syntax == "1.2.840.10008.1.2.7"
    assert "unknown transfer syntax" in header.warnings[0]


def test_missing_meta_group_length_does_not_matter(tmp_path):
    data = part10(instance(PatientID="1"))

    header = read(tmp_path, data[:132] + data[144:])

    assert header.dataset_offset == dataset_start(data) - 12
    assert header.digest == hashlib.sha256(data[dataset_start(data) :]).hexdigest()


def test_empty_and_tiny_files_are_refused(tmp_path):
    data = part10(instance())
    for size in (0, 1, 128, 132, 140, dataset_start(data)):
        with pytest.raises(InvalidInstance):
            read(tmp_path, data[:size])


def test_zero_padding_behind_the_data_set_is_no_element(tmp_path):
    header = read(tmp_path, part10(instance(PatientID="1")) + b"\0" * 700)

    assert header.attributes["00100020"] == {"vr": "LO", "Value": ["1"]}
    assert "zero bytes" in header.warnings[0]
    with pytest.raises(InvalidInstance):
        read(tmp_path, part10(instance(PatientID="1")) + b"\0" * 700 + b"\1")


def test_deflated_data_set_is_described_as_inflated(tmp_path):
    ds = instance(Rows=64, Columns=64, SamplesPerPixel=1, BitsAllocated=8, PixelData=bytes(range(256)) * 16)
    ds["PixelData"].VR = "OB"
    data = part10(ds, DeflatedExplicitVRLittleEndian)

    header = read(tmp_path, data)

    assert header.layout.deflated
    ((offset, length),) = header.layout.frame(1)
    assert data_set_bytes(tmp_path / "instance.dcm", header)[offset : offset + length] == ds.PixelData
    assert header.digest == hashlib.sha256(data[header.dataset_offset :]).hexdigest()


def test_big_deflated_data_set_goes_through_a_file(tmp_path):
    ds = instance(Rows=3000, Columns=3000, SamplesPerPixel=1, BitsAllocated=8)
    ds.add_new("PixelData", "OB", bytes(range(250)) * 36_000)

    header = read(tmp_path, part10(ds, DeflatedExplicitVRLittleEndian))

    assert header.layout.number_of_frames == 1
    assert [path.name for path in tmp_path.iterdir()] == ["instance.dcm"]


def test_no_room_to_inflate_is_a_failure_of_storage(tmp_path):
    ds = instance(Rows=3000, Columns=3000, SamplesPerPixel=1, BitsAllocated=8)
    ds.add_new("PixelData", "OB", bytes(9_000_000))
    data = part10(ds, DeflatedExplicitVRLittleEndian)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(StorageDown, match="inflated"):
            read(tmp_path, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_deflated_data_set_that_is_cut_corrupt_or_a_bomb_is_refused(tmp_path, monkeypatch):
    data = part10(instance(PatientComments="x" * 3000), DeflatedExplicitVRLittleEndian)
    start = dataset_start(data)
    with pytest.raises(InvalidInstance, match="no end"):
        read(tmp_path, data[:-8])
    with pytest.raises(InvalidInstance, match="corrupt"):
        read(tmp_path, data[:start] + b"\xff" * 20)
    monkeypatch.setattr("storage.part10.FREE_INFLATED", 1 << 20)
    deflate = zlib.compressobj(9, wbits=-15)
    with pytest.raises(InvalidInstance, match="beyond the limit"):
        read(tmp_path, data[:start] + deflate.compress(bytes(8 << 20)) + deflate.flush())


def test_big_endian_binary_values_are_inline_as_little_endian(tmp_path):
    ds = instance(BitsAllocated=16)
    ds.add_new("RedPaletteColorLookupTableData", "OW", b"\x01\x02\x03\x04")

    header = read(tmp_path, part10(ds, ExplicitVRBigEndian))

    assert transfer_syntax(header.transfer_syntax).big_endian
    assert with_bytes(header.attributes, lambda _: b"")["00281201"]["bytes"] == b"\x02\x01\x04\x03"


PEAK = """
import sys
from pathlib import Path
from storage.header import read_header

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

read_header(Path(sys.argv[1]))
before = peak()
layout = read_header(Path(sys.argv[2])).layout
print(peak() - before, layout.number_of_frames, *layout.frame(layout.number_of_frames)[0])
"""


def cost_of(small: Path, big: Path) -> tuple[int, int, int, int]:
    """Memory in kB that `big` took beyond `small`; then the number of frames, place of the last one."""
    answer = subprocess.run(
        [sys.executable, "-c", PEAK, small, big], check=True, capture_output=True, text=True, cwd=ROOT
    )
    grown, frames, offset, length = map(int, answer.stdout.split())
    return grown, frames, offset, length


FRAMES, FRAME_BYTES = 600, 1 << 20
WORTH_MENTIONING = 32 << 10


def test_memory_does_not_grow_with_native_frames(tmp_path):
    ds = instance(Rows=1024, Columns=1024, SamplesPerPixel=1, BitsAllocated=8, NumberOfFrames=1)
    ds.add_new("PixelData", "OB", bytes(FRAME_BYTES))
    small, big = tmp_path / "small.dcm", tmp_path / "big.dcm"
    small.write_bytes(part10(ds))
    ds.NumberOfFrames = FRAMES
    head = part10(ds)[:-FRAME_BYTES]
    with big.open("wb") as file:
        file.write(head[:-4] + (FRAMES * FRAME_BYTES).to_bytes(4, "little"))
        file.truncate(len(head) + FRAMES * FRAME_BYTES)

    grown, frames, offset, length = cost_of(small, big)

    assert (frames, offset, length) == (FRAMES, len(head) + (FRAMES - 1) * FRAME_BYTES, FRAME_BYTES)
    assert grown < WORTH_MENTIONING


def test_memory_does_not_grow_with_fragments(tmp_path):
    pieces, piece = 75_000, 4096
    small, big = tmp_path / "small.dcm", tmp_path / "big.dcm"
    small.write_bytes(part10(instance()))
    head = part10(instance(NumberOfFrames=pieces)).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    with big.open("wb") as file:
        file.write(head + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0" + bytes(4))
        for _ in range(pieces):
            file.write(b"\xfe\xff\x00\xe0" + piece.to_bytes(4, "little"))
            file.seek(piece, SEEK_CUR)
        file.write(b"\xfe\xff\xdd\xe0" + bytes(4))

    grown, frames, _, length = cost_of(small, big)

    assert (frames, length) == (pieces, piece)
    assert grown < 3 * WORTH_MENTIONING
