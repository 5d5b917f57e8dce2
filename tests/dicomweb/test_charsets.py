"""Character sets that clients ask for (PS3.18 8.3.3.2, 8.8.4)."""

import pytest

from dicomweb.charsets import check_charsets
from dicomweb.problems import BadRequest
from tests.dicomweb.builders import part10

TAKEN = ["utf-8", "UTF-8;q=0.5", "iso-8859-1,utf-8;q=0.1", '"ISO_IR 192"', "ISO_IR 100,ISO_IR 192"]
REFUSED = ["", "klingon", "iso-8859-1", "utf-8;q=0", '"ISO_IR 100"', "*;q=0"]
RESOURCES = [
    "/studies",
    "/studies/1.2/metadata",
    "/studies/1.2/series/1.2.1/instances/1.2.1.1",
    "/studies/1.2/rendered",
    "/hanging-protocols",
    "/workitems",
    "/",
]


@pytest.fixture
def filled(web, store):
    store(part10())
    return web


@pytest.mark.parametrize("asked", TAKEN)
def test_utf_8_is_among_what_is_taken(asked):
    check_charsets(asked, None)
    check_charsets(None, asked)
    check_charsets(asked, "klingon")


@pytest.mark.parametrize("asked", REFUSED)
def test_nothing_else_is_given(asked):
    for arguments in ((asked, None), (None, asked), (asked, "utf-8")):
        with pytest.raises(BadRequest, match="UTF-8 alone"):
            check_charsets(*arguments)


def test_any_is_a_word_of_the_header_alone():
    check_charsets(None, "iso-8859-1, *;q=0.1")
    with pytest.raises(BadRequest, match=r"charset: .*'\*'"):
        check_charsets("*", None)
    with pytest.raises(BadRequest):
        check_charsets(None, "*, utf-8;q=0, iso_ir\t192;q=0, utf8;q=0, iso_ir 192;q=0")


@pytest.mark.parametrize("path", RESOURCES)
def test_every_service_says_so(filled, path):
    answer = filled.get(path, params={"charset": "klingon"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "klingon" in answer.json()["detail"]
    assert filled.get(path, headers={"Accept-Charset": "klingon"}).status_code == 400
    assert filled.get(path, params={"charset": "utf-8"}).status_code == 200
    assert filled.get(path, headers={"Accept-Charset": "utf-8, *;q=0.1"}).status_code == 200


def test_wado_uri_says_so_too(filled):
    address = str(filled.base_url).replace("/dicom-web/", "/wado")
    asked = {"requestType": "WADO", "objectUID": "1.2.1.1", "charset": "klingon"}
    assert filled.get(address, params=asked).status_code == 400
    assert filled.get(address, params=asked | {"charset": "utf-8"}).status_code == 200
