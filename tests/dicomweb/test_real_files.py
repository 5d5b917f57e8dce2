"""Real files through a real client: what comes out is what went in."""

import io
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from storage.errors import StorageError
from storage.header import read_header
from storage.pixels.decode import decode
from storage.pixels.description import PixelDescription
from tests.dicomweb.builders import multipart
from tests.dicomweb.conftest import application, client_of, opened
from tests.dicomweb.multipart_answers import parts

# Real files hold values that break their VR, and pydicom says so.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

# Their pixel data is shorter than one frame.
TOO_SHORT: set[str] = set()
REWRITTEN = {ImplicitVRLittleEndian, ExplicitVRBigEndian}


@pytest.fixture(scope="module")
def files(test_data: Path) -> dict[str, Path]:
    """The valid files of the test data: SOP Instance UID → file; of copies of an instance, the first."""
    found: dict[str, Path] = {}
    for path in sorted((test_data / "dicom").rglob("*.*")):
        try:
            found.setdefault(read_header(path).key.sop, path)
        except StorageError:
            continue
    assert len(found) > 180
    return found


@pytest.fixture(scope="module")
def real(tmp_path_factory, empty_index, files) -> httpx.Client:
    """A server that has all of them, by STOW."""
    with (
        opened(tmp_path_factory.mktemp("real"), empty_index) as (archive, spool),
        client_of(application(archive, spool)) as web,
    ):
        kind = 'multipart/related; type="application/dicom"; boundary=b0undary'
        contents = [path.read_bytes() for path in files.values()]
        answer = web.post("/studies", content=multipart(*contents), headers={"Content-Type": kind})
        assert answer.status_code in {200, 202}
        assert "00081198" not in answer.json(), answer.json()["00081198"]
        assert len(answer.json()["00081199"]["Value"]) == len(files)
        yield web


def instances(real):
    """Address below the root, SOP Instance UID and transfer syntax of every instance."""
    for found in real.get("/instances?limit=10000").json():
        sop = found["00080018"]["Value"][0]
        yield found["00081190"]["Value"][0], sop


def syntax_of(path: Path) -> str:
    return read_header(path).transfer_syntax


def test_every_file_comes_back_as_the_bytes_that_went_in(real, files):
    compared = 0
    for url, sop in instances(real):
        syntax = syntax_of(files[sop])
        answer = real.get(
            url, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
        )
        ((kind, data),) = parts(answer)
        if syntax in REWRITTEN:
            assert kind.endswith(f"transfer-syntax={ExplicitVRLittleEndian}")
        else:
            assert kind.endswith(f"transfer-syntax={syntax}")
            assert data == files[sop].read_bytes(), files[sop]
        compared += 1
    assert compared == len(files)


def test_every_study_comes_whole(real, files):
    total = 0
    for study in real.get("/studies?limit=10000").json():
        answer = real.get(study["00081190"]["Value"][0], headers={"Accept": "multipart/related"})
        got = parts(answer)
        assert len(got) == study["00201208"]["Value"][0]
        total += len(got)
    assert total == len(files)


def test_metadata_of_every_study_is_dicom_json_that_pydicom_reads(real, files):
    seen = set()
    for study in real.get("/studies?limit=10000").json():
        answer = real.get(f"{study['00081190']['Value'][0]}/metadata")
        assert b'"bulkdata:' not in answer.content
        for data_set in json.loads(answer.content):
            seen.add(pydicom.Dataset.from_json(data_set, lambda *_: b"").SOPInstanceUID)
    assert seen == set(files)


def big_values(data_set: dict):
    """The addresses of all big values of a data set."""
    for attribute in data_set.values():
        if "BulkDataURI" in attribute:
            yield attribute["BulkDataURI"]
        if attribute["vr"] == "SQ":
            for item in attribute.get("Value", []):
                yield from big_values(item)


def test_every_address_of_a_big_value_resolves(real):
    followed = 0
    for url, _ in instances(real):
        for address in big_values(real.get(f"{url}/metadata").json()[0]):
            assert real.get(address).status_code == 200, address
            followed += 1
    assert followed > 150


def test_native_frames_are_the_samples_that_pydicom_reads(real, files):
    """Whole bytes only; single bits have a test of their own."""
    compared = 0
    for url, sop in instances(real):
        stored = files[sop]
        ds = pydicom.dcmread(stored, force=True)
        if "PixelData" not in ds or ds.file_meta.TransferSyntaxUID.is_encapsulated or ds.BitsAllocated == 1:
            continue
        answer = real.get(f"{url}/frames/1", headers={"Accept": "application/octet-stream"})
        if answer.status_code == 404:
            assert stored.name in TOO_SHORT, answer.text
            continue
        explicit = pydicom.dcmread(io.BytesIO(parts(real.get(url))[0][1]))
        assert answer.content == explicit.PixelData[: len(answer.content)], stored
        samples = ds.Rows * ds.Columns * ds.SamplesPerPixel
        if "422" not in ds.PhotometricInterpretation:
            assert len(answer.content) == samples * ds.BitsAllocated // 8, stored
        compared += 1
    assert compared > 100


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.80"])
def test_encoded_frames_hold_the_samples_that_native_ones_hold(real, files, uid):
    """Of every image that has both forms; small ones, for the time it takes."""
    compared = 0
    for url, sop in instances(real):
        octets = {"Accept": "application/octet-stream"}
        wanted = {"Accept": f"application/octet-stream; transfer-syntax={uid}"}
        if files[sop].stat().st_size > 2_000_000:
            continue
        encoded = real.get(f"{url}/frames/1", headers=wanted)
        if encoded.status_code != 200:
            continue
        (header,) = real.get(f"{url}/metadata").json()
        description = replace(PixelDescription.of(header), planar=0)
        if description.samples > 1:
            description = replace(description, photometric="RGB")  # as which colour leaves
        samples = decode(encoded.content, description, uid)
        native = real.get(f"{url}/frames/1", headers=octets).content
        if header.get("00280006", {}).get("Value") == [1]:
            samples = samples.transpose(2, 0, 1)
        if native != samples.astype(samples.dtype.newbyteorder("<")).tobytes():
            assert has_bits_beside_the_stored_ones(description), files[sop]
        compared += 1
    assert compared > 100


def has_bits_beside_the_stored_ones(description: PixelDescription) -> bool:
    """Overlays and padding in native samples are not part of the picture that is encoded."""
    return description.bits_stored < description.bits_allocated


@pytest.fixture
def client(real) -> DICOMwebClient:
    return DICOMwebClient(str(real.base_url).rstrip("/"))


def test_the_python_client_searches_and_retrieves(client, files):
    studies = client.search_for_studies(fuzzymatching=True, fields=["StudyDescription"], limit=500)
    by_uid = {study["0020000D"]["Value"][0]: study for study in studies}
    found = client.search_for_instances(limit=5)
    assert len(found) == 5
    for each in found:
        study, series, sop = (each[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        assert study in by_uid
        assert client.search_for_series(study)
        assert client.retrieve_instance_metadata(study, series, sop)["00080018"]["Value"] == [sop]
        assert client.retrieve_instance(study, series, sop).SOPInstanceUID == sop
        assert len(client.retrieve_series(study, series)) >= 1
        assert client.retrieve_series_metadata(study, series)


def test_the_python_client_retrieves_frames_and_bulk_data(client, files):
    (image,) = client.search_for_instances(
        search_filters={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, limit=1
    )
    uids = [image[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
    (frame,) = client.retrieve_instance_frames(*uids, frame_numbers=[1])
    metadata = client.retrieve_instance_metadata(*uids)
    address = metadata["7FE00010"]["BulkDataURI"]
    # This client sends a Host without the port: only a configured address survives it.
    address = f"{client.base_url}/studies/{address.partition('/studies/')[2]}"
    assert client.retrieve_bulkdata(address)[0].startswith(frame)
    assert client.retrieve_bulkdata(address, byte_range=(0, 9))[0] == frame[:10]


def test_the_python_client_stores(web, files):
    client = DICOMwebClient(str(web.base_url).rstrip("/"))
    some = list(files.values())[:5]
    answer = client.store_instances([pydicom.dcmread(path) for path in some])
    assert len(answer.ReferencedSOPSequence) == 5
