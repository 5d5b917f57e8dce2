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


def test_a_region_is_shown_in_its_own_size_or_fits_the_one_asked_for(ask, store):
    store(multiframe(1))  # 4 rows of 6 columns
    whole = imagecodecs.png_decode(ask(contentType="image/png").content)
    part = imagecodecs.png_decode(ask(contentType="image/png", region="0.5,0.25,1.0,0.75").content)
    assert part.tolist() == whole[1:3, 3:6].tolist()
    large = imagecodecs.png_decode(
        ask(contentType="image/png", region="0.5,0.25,1.0,0.75", columns="30").content
    )
    assert large.shape[:2] == (20, 30)


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
        ({"region": "0,0,1"}, 400),
        ({"region": "0,0,x,1"}, 400),
        ({"region": "0.5,0,0.5,1"}, 400),
        ({"region": "0,0,1,1.1"}, 400),
        ({"region": "nan,0,1,1"}, 400),
        ({"anonymize": "yes", "contentType": "application/dicom"}, 406),
        ({"presentationUID": "1.2.3", "presentationSeriesUID": "1.2"}, 406),
    ],
)
def test_what_cannot_be_given_is_a_problem(ask, store, parameters, status):
    store(part10())
    answer = ask(**parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
