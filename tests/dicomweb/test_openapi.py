"""The OpenAPI document is complete, and what it says is what happens."""

import re

import pytest

from dicomweb.media_types import PROBLEM
from tests.dicomweb.builders import part10, protocol
from tests.dicomweb.worklist import STEP

UIDS = {
    "study": "1.2",
    "series": "1.2.1",
    "sop": "1.2.1.1",
    "frames": "1",
    "path": "7FE00010",
    "workitem": "1.2.9",
    "transaction": "1.2.8",
    "uid": "2.25.1",
}


@pytest.fixture
def document(app):
    return app.openapi()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_says_what_it_takes_and_gives(document):
    names = set()
    for name, operation in operations(document):
        names.add(name)
        assert operation["summary"], name
        assert operation["tags"], name
        asked = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert asked == set(re.findall(r"{(\w+)}", name)), name
        assert "422" not in operation["responses"], name
        assert any(status.startswith("2") for status in operation["responses"]), name
        assert "400" in operation["responses"], name
        for status, response in operation["responses"].items():
            assert response["description"], (name, status)
    assert len(names) >= 27


def test_operations_have_names_of_their_own(document):
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_search_declares_its_query_parameters(document):
    parameters = document["paths"]["/dicom-web/studies"]["get"]["parameters"]
    names = {each["name"] for each in parameters}
    assert {
        "PatientName",
        "StudyDate",
        "ModalitiesInStudy",
        "includefield",
        "limit",
        "offset",
        "accept",
    } <= names
    instance = {each["name"] for each in document["paths"]["/dicom-web/instances"]["get"]["parameters"]}
    assert "RequestAttributesSequence.ScheduledProcedureStepID" in instance
    assert "fuzzymatching" in instance


def test_every_declared_search_parameter_is_taken(document, web):
    for path in ("/studies", "/series", "/instances"):
        for each in document["paths"][f"/dicom-web{path}"]["get"]["parameters"]:
            value = {
                "fuzzymatching": "true",
                "multiplevaluematching": "true",
                "emptyvaluematching": "true",
                "limit": "1",
                "offset": "0",
                "accept": "application/json",
                "charset": "utf-8",
            }.get(each["name"], "1")
            if "YYYYMMDD" in each.get("description", ""):
                value = "20240131"
            if each["name"] == "includefield":
                value = "all"
            answer = web.get(path, params={each["name"]: value})
            assert answer.status_code == 200, (path, each["name"], answer.text)


def test_every_get_answers_as_it_declares(document, web, store, steps):
    """Each operation is called with every media type it declares, and once for a thing that is not there."""
    store(part10())
    dicom = {"Content-Type": "application/dicom"}
    assert web.post("/hanging-protocols", content=protocol(), headers=dicom).status_code == 200
    steps.create(STEP, "1.2.9")
    for name, operation in operations(document):
        method, path = name.split(" ")
        if method != "GET" or not path.startswith("/dicom-web"):
            continue
        url = path.removeprefix("/dicom-web").format(**UIDS)
        for media in operation["responses"]["200"].get("content", {}):
            with web.stream("GET", url, headers={"Accept": media}) as answer:  # that of events has no end
                pass
            assert str(answer.status_code) in operation["responses"], (name, media, answer.status_code)
            if answer.status_code == 204:
                continue
            declared = operation["responses"][str(answer.status_code)].get("content", {PROBLEM: {}})
            got = answer.headers["content-type"].partition(";")[0]
            assert got in {each.partition(";")[0] for each in declared}, (name, media, got)
        if "{" in path:
            missing = web.get(path.removeprefix("/dicom-web").format(**dict.fromkeys(UIDS, "9")))
            assert str(missing.status_code) in operation["responses"], (name, missing.status_code)


def test_what_store_reads_is_declared(document):
    body = document["paths"]["/dicom-web/studies"]["post"]["requestBody"]
    kinds = {"application/dicom", "application/dicom+json", "application/dicom+xml"}
    assert set(body["content"]) == kinds | {f'multipart/related; type="{kind}"' for kind in kinds}
