"""QIDO-RS over a real archive: what is found, how it is answered, what is refused."""

import pytest

from storage.archive import Archive
from storage.memory import MemoryBlobs
from storage.sql.engine import connect
from storage.sql.index import SqlIndex
from tests.dicomweb.builders import part10
from tests.dicomweb.conftest import application, client_of
from tests.support.many import add_studies


@pytest.fixture
def filled(web, store):
    """Two studies: 1.2 with two series, of Jane, 1.3 with one, of Jürgen."""
    store(
        part10(),
        part10(SOPInstanceUID="1.2.1.2", InstanceNumber=2),
        part10(SeriesInstanceUID="1.2.2", SOPInstanceUID="1.2.2.1", Modality="MR", SeriesNumber=2),
        part10(
            StudyInstanceUID="1.3",
            SeriesInstanceUID="1.3.1",
            SOPInstanceUID="1.3.1.1",
            PatientName="Müller^Jürgen",
            PatientID="P2",
            StudyDate="20240301",
            AccessionNumber="A2",
        ),
    )
    return web


def uids(answer, tag: str = "0020000D") -> list[str]:
    assert answer.status_code == 200, answer.text
    return [result[tag]["Value"][0] for result in answer.json()]


def test_studies_come_newest_first_with_every_required_attribute(filled):
    answer = filled.get("/studies", headers={"Accept": "application/dicom+json"})
    assert answer.headers["content-type"] == "application/dicom+json"
    assert uids(answer) == ["1.3", "1.2"]
    second = answer.json()[1]
    # PS3.18 table 10.6.3-3
    assert {
        *("00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190", "00100010"),
        *("00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"),
    } <= second.keys()
    assert second["00081190"] == {"vr": "UR", "Value": [f"{str(filled.base_url).rstrip('/')}/studies/1.2"]}
    assert sorted(second["00080061"]["Value"]) == ["CT", "MR"]
    assert (second["00201206"]["Value"], second["00201208"]["Value"]) == ([2], [3])
    assert list(second) == sorted(second)


def test_text_comes_in_utf_8(filled):
    answer = filled.get("/studies?PatientID=P2")
    assert answer.json()[0]["00100010"]["Value"] == [{"Alphabetic": "Müller^Jürgen"}]
    assert "Müller".encode() in answer.content


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("PatientName=*doe*", ["1.2"]),
        ("00100010=M%C3%BCller*", ["1.3"]),
        ("PatientID=P%2A", ["1.3", "1.2"]),
        ("StudyDate=20240201-", ["1.3"]),
        ("StudyDate=20240131", ["1.2"]),
        ("StudyInstanceUID=1.2,1.3,1.4", ["1.3", "1.2"]),
        ("StudyInstanceUID=1.2%5C1.3", ["1.3", "1.2"]),
        ("ModalitiesInStudy=MR", ["1.2"]),
        ("ModalitiesInStudy=MR&StudyDate=2024030-".replace("2024030-", "20240301-"), []),
        ("AccessionNumber=A?", ["1.3", "1.2"]),
        ("PatientName=", ["1.3", "1.2"]),
        ("limit=1", ["1.3"]),
        ("limit=1&offset=1", ["1.2"]),
        ("offset=2", []),
        ("limit=0", []),
        ("fuzzymatching=true&PatientName=*jane*", ["1.2"]),
        ("includefield=all", ["1.3", "1.2"]),
    ],
)
def test_studies_are_found(filled, query, found):
    assert uids(filled.get(f"/studies?{query}")) == found


def test_nothing_found_is_an_empty_list(filled):
    answer = filled.get("/studies?PatientID=nobody")
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    ("path", "tag", "found"),
    [
        ("/series", "0020000E", ["1.3.1", "1.2.1", "1.2.2"]),
        ("/series?Modality=MR", "0020000E", ["1.2.2"]),
        ("/studies/1.2/series", "0020000E", ["1.2.1", "1.2.2"]),
        ("/instances?SOPInstanceUID=1.2.1.2", "00080018", ["1.2.1.2"]),
        ("/studies/1.2/instances", "00080018", ["1.2.1.1", "1.2.1.2", "1.2.2.1"]),
        ("/studies/1.2/series/1.2.1/instances", "00080018", ["1.2.1.1", "1.2.1.2"]),
        ("/studies/1.2/series/1.2.1/instances?InstanceNumber=2", "00080018", ["1.2.1.2"]),
    ],
)
def test_series_and_instances_are_found_with_addresses_that_resolve(filled, path, tag, found):
    answer = filled.get(path)
    assert uids(answer, tag) == found
    for result in answer.json():
        address = result["00081190"]["Value"][0]
        assert address.endswith(result[tag]["Value"][0])
        assert filled.get(address).status_code == 200


def test_more_results_than_the_limit_are_announced(filled):
    answer = filled.get("/instances?limit=3")
    assert len(answer.json()) == 3
    assert answer.headers["warning"].startswith(f"299 {str(filled.base_url).rstrip('/')}: ")
    assert "warning" not in filled.get("/instances?limit=4").headers


def test_attributes_that_are_asked_for_are_included(filled):
    assert "00081030" in filled.get("/studies?includefield=StudyDescription").json()[0]
    instance = filled.get("/studies/1.2/series/1.2.1/instances?includefield=00280100,Rows").json()[0]
    assert (instance["00280100"]["Value"], instance["00280010"]["Value"]) == ([16], [4])


@pytest.mark.parametrize(
    "accept", ["application/json", "application/dicom+json, application/json", "*/*", "application/*"]
)
def test_json_is_given_as_it_is_asked_for(filled, accept):
    answer = filled.get("/studies", headers={"Accept": accept})
    assert answer.headers["content-type"] == (
        "application/json" if accept == "application/json" else "application/dicom+json"
    )


def test_other_forms_are_not_given(filled):
    answer = filled.get("/studies", headers={"Accept": 'multipart/related; type="text/csv"'})
    assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("NoSuchAttribute=1", "NoSuchAttribute"),
        ("00100021x=1", "00100021x"),
        ("PixelData=1", "PixelData"),
        ("WindowCenter=40", "WindowCenter"),
        ("StudyDate=2024-01-01", "StudyDate"),
        ("limit=many", "limit"),
        ("includefield=Nothing", "Nothing"),
        ("PatientID=%00", "PatientID"),
        ("StudyInstanceUID=x", "StudyInstanceUID"),
        ("%FF%FE=1", "attribute"),
    ],
)
def test_a_malformed_query_is_refused_by_name(filled, query, named):
    answer = filled.get(f"/studies?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert named in answer.json()["detail"]


@pytest.mark.parametrize(
    "query", ["PatientName=" + "*" * 3000, "PatientID=" + "%25_" * 500, "StudyInstanceUID=" + "1.2," * 5000]
)
def test_odd_but_legal_queries_are_answered(filled, query):
    assert filled.get(f"/studies?{query}").status_code == 200


def test_a_configured_address_is_used_in_answers(make_web, store):
    store(part10())
    web = make_web(base_url="https://pacs.example/dicom-web/")
    assert web.get("/studies").json()[0]["00081190"]["Value"] == [
        "https://pacs.example/dicom-web/studies/1.2"
    ]
    metadata = web.get("/studies/1.2/metadata").json()
    assert metadata[0]["7FE00010"]["BulkDataURI"].startswith(
        "https://pacs.example/dicom-web/studies/1.2/series/"
    )


def test_a_hostile_host_does_not_break_out_of_the_json(web, store):
    store(part10())
    for path in ("/studies", "/studies/1.2/metadata"):
        answer = web.get(path, headers={"Host": 'a","x":"b'})
        assert answer.status_code == 400 or isinstance(answer.json(), list)


def test_a_search_that_is_too_broad_is_refused(spool, tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'index.db'}")
    add_studies(engine, 2000)
    impatient = Archive(MemoryBlobs(), SqlIndex(engine, search_seconds=0.000_001))
    with client_of(application(impatient, spool)) as client:
        answer = client.get("/studies", params={"PatientName": "*qq*"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert "narrow it" in answer.json()["detail"]
    impatient.close()
    engine.dispose()
