"""WADO-URI: the object itself, or a picture of it."""

import imagecodecs
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from tests.dicomweb.builders import image, multiframe, part10


@pytest.fixture
def ask(web):
    """Sends a WADO-URI request."""
    root = str(web.base_url).removesuffix("/dicom-web/")

    def ask(**parameters):
        return web.get(f"{root}/wado", params={"requestType": "WADO", "objectUID": "1.2.1.1", **parameters})

    return ask


def test_the_object_is_given_as_it_came(ask, store):
    data = part10()
    store(data)
    answer = ask(contentType="application/dicom", studyUID="1.2", seriesUID="1.2.1")
    assert answer.content == data
    assert answer.headers["content-type"].startswith("application/dicom")


def test_an_implicit_object_is_given_as_explicit(ask, store):
    store(part10(image(), ImplicitVRLittleEndian))
    answer = ask(contentType="application/dicom", transferSyntax="1.2.840.10008.1.2.1")
    assert answer.headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"


def test_a_picture_is_the_default(ask, store):
    store(multiframe(3))
    answer = ask(frameNumber="2")
    assert answer.headers["content-type"] == "image/jpeg"
    assert imagecodecs.jpeg8_decode(answer.content).shape[:2] == (4, 6)


def test_a_picture_is_made_as_it_is_asked_for(ask, store):
    store(part10())
    answer = ask(contentType="image/png", rows="2", windowCenter="12", windowWidth="24")
    assert imagecodecs.png_decode(answer.content).shape[:2] == (2, 3)


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"objectUID": "1.9"}, 404),
        ({"studyUID": "1.9"}, 404),
        ({"seriesUID": "1.9"}, 404),
        ({"requestType": "XYZ"}, 400),
        ({"frameNumber": "0"}, 400),
        ({"frameNumber": "7"}, 404),
        ({"rows": "many"}, 400),
        ({"windowCenter": "1"}, 400),
        ({"windowCenter": "x", "windowWidth": "y"}, 400),
        ({"contentType": "text/plain"}, 406),
        ({"contentType": "application/dicom", "transferSyntax": "1.2.3"}, 406),
        ({"imageQuality": "101"}, 400),
    ],
)
def test_what_cannot_be_given_is_a_problem(ask, store, parameters, status):
    store(part10())
    answer = ask(**parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
