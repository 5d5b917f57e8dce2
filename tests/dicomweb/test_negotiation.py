"""What docs/dicomweb.md says of forms where it is not what the standard says."""

import pytest

from tests.dicomweb.builders import part10

METADATA = "/studies/1.2/metadata"
RENDERED = "/studies/1.2/series/1.2.1/instances/1.2.1.1/rendered"
DICOM_JSON = "application/dicom+json"


@pytest.fixture
def filled(web, store):
    store(part10())
    return web


@pytest.mark.parametrize(
    ("path", "default"), [("/studies", DICOM_JSON), (METADATA, DICOM_JSON), (RENDERED, "image/jpeg")]
)
def test_who_names_no_form_gets_the_default(filled, path, default):
    request = filled.build_request("GET", path)
    del request.headers["accept"]
    answer = filled.send(request)
    assert (answer.status_code, answer.headers["content-type"]) == (200, default)


@pytest.mark.parametrize(("path", "given"), [(METADATA, DICOM_JSON), (RENDERED, "image/png")])
def test_of_dicom_and_rendered_forms_those_of_the_resource_count(filled, path, given):
    answer = filled.get(path, headers={"Accept": f"image/png, {DICOM_JSON}"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, given)


def test_a_link_names_its_form_whatever_the_browser_says(filled):
    answer = filled.get(RENDERED, params={"accept": "image/png"}, headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "image/png"


def test_what_cannot_be_given_is_named_with_what_can(filled):
    answer = filled.get(RENDERED, headers={"Accept": "image/tiff"})
    assert answer.status_code == 406
    assert "image/jpeg" in answer.json()["detail"]


def test_what_was_deleted_is_not_found(filled):
    assert filled.delete("/studies/1.2").status_code == 204
    assert filled.get("/studies/1.2").status_code == 404
