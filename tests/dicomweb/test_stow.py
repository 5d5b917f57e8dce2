"""STOW-RS: what is stored, what is refused and how each is told."""

from pathlib import Path

import pytest

from dicomweb.store_response import FAILURE_REASONS
from storage.blobs.disk import DiskBlobs
from storage.errors import StorageDown, StorageError, StorageFull
from tests.dicomweb.builders import CT, multipart, part10

MULTIPART = 'multipart/related; type="application/dicom"; boundary=b0undary'


def post(web, body: bytes, content_type: str = MULTIPART, path: str = "/studies", **headers: str):
    return web.post(path, content=body, headers={"Content-Type": content_type, **headers})


def stored_uids(web) -> set[str]:
    return {found["00080018"]["Value"][0] for found in web.get("/instances").json()}


def items(answer, tag: str) -> list[dict]:
    return answer.json()[tag]["Value"]


def test_parts_of_a_multipart_body_are_stored(web):
    answer = post(web, multipart(part10(), part10(SOPInstanceUID="1.2.1.2", InstanceNumber=2)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    root = str(web.base_url).rstrip("/")
    assert answer.json() == {
        "00081190": {"vr": "UR", "Value": [f"{root}/studies/1.2"]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [CT]},
                    "00081155": {"vr": "UI", "Value": [sop]},
                    "00081190": {
                        "vr": "UR",
                        "Value": [f"{root}/studies/1.2/series/1.2.1/instances/{sop}"],
                    },
                }
                for sop in ("1.2.1.1", "1.2.1.2")
            ],
        },
    }
    assert stored_uids(web) == {"1.2.1.1", "1.2.1.2"}


def test_a_single_part_is_stored(web, archive):
    data = part10()
    assert post(web, data, "application/dicom").status_code == 200
    with archive.open(archive.instance("1.2.1.1")) as file:
        assert file.read() == data


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related; type=application/dicom; boundary=b0undary",
        'multipart/related;boundary="b0undary";type="application/dicom"',
        "Multipart/Related; boundary=b0undary",
        'multipart/related; type="application/dicom; transfer-syntax=*"; boundary=b0undary',
    ],
)
def test_content_types_as_senders_write_them(web, content_type):
    assert post(web, multipart(part10()), content_type).status_code == 200


@pytest.mark.parametrize(
    "part_type", [None, "application/octet-stream", 'application/dicom;transfer-syntax="1.2"']
)
def test_part_types_as_senders_write_them(web, part_type):
    assert post(web, multipart(part10(), part_type=part_type)).status_code == 200


def test_the_same_bytes_again_are_a_success(web):
    post(web, multipart(part10()))
    answer = post(web, multipart(part10()))
    assert answer.status_code == 200
    assert len(items(answer, "00081199")) == 1


def test_other_bytes_under_a_uid_that_is_taken_are_a_conflict(web):
    post(web, multipart(part10()))
    answer = post(web, multipart(part10(PatientID="other")))
    assert answer.status_code == 409
    (failed,) = items(answer, "00081198")
    assert failed["00081155"]["Value"] == ["1.2.1.1"]
    assert failed["00081197"]["Value"] == [0x0111]


def test_good_and_bad_parts_are_told_apart(web):
    answer = post(web, multipart(part10(), b"no DICOM", part10().replace(b"1.2.1.1\0", b"1.2.1.x\0")))
    assert answer.status_code == 202
    assert [each["00081155"]["Value"] for each in items(answer, "00081199")] == [["1.2.1.1"]]
    reasons = [each["00081197"]["Value"][0] for each in items(answer, "0008119A")]
    assert reasons == [0xC000, 0xC000]
    assert "no DICM" in items(answer, "0008119A")[0]["00000902"]["Value"][0]


def test_an_instance_of_another_study_is_refused_and_not_stored(web):
    answer = post(
        web, multipart(part10(), part10(StudyInstanceUID="1.3", SOPInstanceUID="1.3.1")), path="/studies/1.2"
    )
    assert answer.status_code == 202
    (failed,) = items(answer, "00081198")
    assert (failed["00081155"]["Value"], failed["00081197"]["Value"]) == (["1.3.1"], [0xA900])
    assert stored_uids(web) == {"1.2.1.1"}


def test_only_instances_of_another_study_are_a_conflict(web):
    assert post(web, multipart(part10()), path="/studies/1.3").status_code == 409
    assert stored_uids(web) == set()


def test_a_part_of_another_type_does_not_hinder_the_others(web):
    body = multipart(part10(), part_type="application/dicom")[: -len("--b0undary--\r\n")]
    body += multipart(b"{}", part_type="application/json")
    answer = post(web, body)
    assert answer.status_code == 202
    assert "application/json" in items(answer, "0008119A")[0]["00000902"]["Value"][0]


def test_a_broken_instance_is_named_by_its_file_meta_information(web):
    whole = part10()
    answer = post(web, multipart(whole[:400]))
    assert answer.status_code == 409
    assert items(answer, "00081198")[0]["00081155"]["Value"] == ["1.2.1.1"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415),
        ("multipart/related; type=application/fhir+json; boundary=b0undary", 415),
        ("multipart/form-data; boundary=b0undary", 415),
        ("multipart/related; type=application/dicom", 400),
        ("multipart/related; type=application/dicom; boundary=", 400),
        ("multipart/related; type=application/dicom; boundary=other", 400),
        ("nonsense", 415),
    ],
)
def test_bodies_that_are_not_read_here_are_problems(web, content_type, status):
    answer = post(web, multipart(part10()), content_type)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert stored_uids(web) == set()


@pytest.mark.parametrize(
    "body", [b"", b"--b0undary--\r\n", multipart(part10())[:-4], multipart(part10())[:300]]
)
def test_a_body_that_is_empty_or_cut_stores_nothing(web, spool, body):
    assert post(web, body).status_code == 400
    assert stored_uids(web) == set()
    assert [path.name for path in spool.folder.iterdir()] == [".lock"]


def test_an_empty_single_part_is_malformed(web):
    assert post(web, b"", "application/dicom").status_code == 400


def test_a_compressed_body_is_not_read(web):
    assert post(web, multipart(part10()), **{"Content-Encoding": "gzip"}).status_code == 415


def test_other_forms_are_not_given(web):
    answer = post(web, multipart(part10()), Accept="text/csv")
    assert answer.status_code == 406
    assert "application/dicom+json" in answer.json()["detail"]
    assert stored_uids(web) == set()


def test_a_delivery_ends_once_for_each_series(web, archive):
    post(web, multipart(part10(), part10(SOPInstanceUID="1.2.1.2")))
    kinds = [event.kind for event in archive.events(None)]
    assert kinds.count("delivery.ended") == 1
    assert {event.origin.protocol for event in archive.events(None)} == {"stow"}


def test_hundreds_of_parts_are_stored_in_one_request(web):
    files = [
        part10(SOPInstanceUID=f"1.2.1.{number}", Rows=1, Columns=1, PixelData=b"ab")
        for number in range(1, 301)
    ]
    answer = post(web, multipart(*files))
    assert answer.status_code == 200
    assert len(items(answer, "00081199")) == 300


def test_a_limited_service_refuses_longer_bodies(archive, spool, make_web):
    web = make_web(max_request_bytes=600)
    assert post(web, multipart(part10())).status_code == 413
    assert post(web, iter([part10()]), "application/dicom").status_code == 413
    assert stored_uids(web) == set()


def test_every_storage_error_has_a_failure_reason():
    assert set(FAILURE_REASONS) == set(StorageError.__subclasses__())


class Failing(DiskBlobs):
    """Blobs whose disk does not take any more."""

    error: StorageError

    def put_if_absent(self, name: str, source: Path, *, settled: bool = True) -> bool:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(StorageDown("no answer"), 503, 0x0110), (StorageFull("no room"), 507, 0xA700)],
)
def test_a_store_that_takes_nothing_asks_to_try_again(opened_archive, make_web, error, status, reason):
    archive, spool = opened_archive
    archive._ingest._blobs = Failing(spool.folder / "failing")
    archive._ingest._blobs.error = error
    answer = post(make_web(), multipart(part10()))
    assert answer.status_code == status
    (failed,) = items(answer, "00081198")
    assert (failed["00081155"]["Value"], failed["00081197"]["Value"]) == (["1.2.1.1"], [reason])


def test_warnings_are_told_with_the_instance(web):
    """A broken value is stored as it is; the sender is told (PS3.18 table I.2-1)."""
    answer = post(web, multipart(part10().replace(b"IS\x02\x001 ", b"IS\x02\x00x ")))
    assert answer.status_code == 202
    (stored,) = items(answer, "00081199")
    assert stored["00081196"]["Value"] == [0xB007]
    assert "not a number" in stored["00000902"]["Value"][0]
