"""Retrieve Capabilities: WADL and JSON say the same, and what the routes say."""

import xml.etree.ElementTree as ET

import pytest

from storage.non_patient import CATEGORIES

WADL = "application/vnd.sun.wadl+xml"
NS = {"w": "http://wadl.dev.java.net/2009/02"}


def methods(resource: ET.Element, path: str = "") -> dict[str, ET.Element]:
    """Each method of a resource and those below it, by name and path."""
    here = f"{path}/{resource.get('path')}".replace("//", "/").rstrip("/")
    found = {f"{each.get('name')} {here or '/'}": each for each in resource.findall("w:method", NS)}
    for child in resource.findall("w:resource", NS):
        found |= methods(child, here)
    return found


def all_methods(document: bytes) -> dict[str, ET.Element]:
    return methods(ET.fromstring(document).find("w:resources/w:resource", NS))


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_capabilities_are_given_as_wadl(web, method):
    answer = web.request(method, "/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, WADL)
    root = ET.fromstring(answer.content)
    assert root.tag == f"{{{NS['w']}}}application"
    assert root.find("w:resources", NS).get("base") == str(web.base_url)


def test_every_operation_of_the_service_is_there(web, app):
    documented = {
        f"{method.upper()} {path.removeprefix('/dicom-web').rstrip('/') or '/'}"
        for path, operations in app.openapi()["paths"].items()
        if path.startswith("/dicom-web")
        for method in operations
    }
    found = all_methods(web.get("/").content)
    assert set(found) == documented
    assert len({each.get("id") for each in found.values()}) == len(found)


def test_methods_name_parameters_and_representations(web):
    found = all_methods(web.get("/").content)
    search = found["GET /studies"]
    parameters = {each.get("name") for each in search.findall("w:request/w:param", NS)}
    assert {"PatientName", "includefield", "limit", "offset"} <= parameters
    given = {
        each.get("mediaType") for each in search.findall("w:response[@status='200']/w:representation", NS)
    }
    assert "application/dicom+json" in given
    taken = {
        each.get("mediaType") for each in found["POST /studies"].findall("w:request/w:representation", NS)
    }
    assert 'multipart/related; type="application/dicom"' in taken


def test_capabilities_are_given_as_json(web):
    answer = web.request("OPTIONS", "/", headers={"Accept": "application/json"})
    (resources,) = answer.json()["application"]["resources"]
    assert resources["base"] == str(web.base_url)
    paths = {each["path"] for each in resources["resource"][0]["resource"]}
    ours = {"changefeed", "commitment-requests", "instances", "series", "studies", "workitems"}
    assert paths == ours | CATEGORIES.keys()


def test_the_configured_address_is_the_base(make_web):
    web = make_web(base_url="https://pacs.example.org/dicom-web")
    root = ET.fromstring(web.get("/").content)
    assert root.find("w:resources", NS).get("base") == "https://pacs.example.org/dicom-web/"


def test_other_forms_are_not_given(web):
    assert web.get("/", headers={"Accept": "text/csv"}).status_code == 406
