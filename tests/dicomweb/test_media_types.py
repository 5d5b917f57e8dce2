"""Accept headers as real clients send them, against what can be offered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.media_types import DICOM, DICOM_JSON, JSON, OCTETS, Accept, MediaType, Offer, parse_media_type
from dicomweb.problems import NotAcceptable

ELE = "1.2.840.10008.1.2.1"
J2K = "1.2.840.10008.1.2.4.90"
FRAMES = [
    Offer("image/jp2", J2K, multipart=True),
    Offer("image/jp2", J2K),
    Offer(OCTETS, J2K, multipart=True),
    Offer(OCTETS, ELE, multipart=True),
]
DEFAULTS = {OCTETS: ELE}


def chosen(header: str | None, offers=FRAMES, parameter: str | None = None) -> str:
    return str(Accept(header, parameter).choose(offers, DEFAULTS))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "*/*",
        'multipart/related; type="*/*"',
        "multipart/related; type=*/*; transfer-syntax=*",
        'multipart/related; type="image/jp2"',
        'multipart/related;type=image/jp2;transfer-syntax="1.2.840.10008.1.2.4.90"',
        "multipart/related",
        'multipart/related; type="image/*"',
        'text/html, multipart/related; type="image/jp2"; q=0.5',
        'MULTIPART/RELATED; TYPE="IMAGE/JP2"',
        "nonsense, */*",
        "*/*;q=high",
    ],
)
def test_the_stored_form_is_given_where_it_is_taken(header):
    assert chosen(header) == f'multipart/related; type="image/jp2"; transfer-syntax={J2K}'


@pytest.mark.parametrize("syntax", ['"*"', "*"])
def test_ohif_gets_the_stored_syntax_as_octets(syntax):
    header = f'multipart/related; type="application/octet-stream"; transfer-syntax={syntax}'
    assert chosen(header) == f'multipart/related; type="{OCTETS}"; transfer-syntax={J2K}'


def test_octets_without_a_transfer_syntax_are_explicit_little_endian():
    assert chosen("multipart/related; type=application/octet-stream").endswith(f"transfer-syntax={ELE}")


def test_a_single_part_is_given_when_asked_for():
    assert chosen("image/jp2") == f"image/jp2; transfer-syntax={J2K}"


def test_quality_decides_before_order():
    offers = [Offer(DICOM_JSON), Offer(JSON)]
    assert chosen("application/json;q=0.4, application/dicom+json;q=0.8", offers) == DICOM_JSON
    assert chosen("application/json, application/dicom+json", offers) == JSON


def test_a_quality_of_zero_forbids():
    assert chosen("application/dicom+json;q=0, */*", [Offer(DICOM_JSON), Offer(JSON)]) == JSON


def test_the_query_parameter_overrides_the_header():
    offers = [Offer(DICOM_JSON), Offer(JSON)]
    assert chosen("*/*", offers, parameter="application/json") == JSON
    assert chosen("application/json", offers, parameter="application/dicom json") == DICOM_JSON


@pytest.mark.parametrize(
    "header", ["image/png", "multipart/related; type=image/jls", ";", "*/*;q=0", "text/*"]
)
def test_what_is_not_available_is_answered_with_what_is(header):
    with pytest.raises(
        NotAcceptable, match=r'available: multipart/related; type="image/jp2"; transfer-syntax='
    ):
        chosen(header)


def test_a_transfer_syntax_that_is_not_available_is_not_replaced_by_another():
    with pytest.raises(NotAcceptable):
        Accept("application/dicom; transfer-syntax=1.2.3").choose([Offer(DICOM, ELE)])


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        (
            'Multipart/Related; Type="a;b\\"c" ;boundary= x/y=z',
            MediaType("multipart/related", {"type": 'a;b"c', "boundary": "x/y=z"}),
        ),
        ("text/plain;", MediaType("text/plain")),
        ("text", None),
        ("", None),
        ("a/b/c", None),
    ],
)
def test_media_types_are_parsed_leniently(text, parsed):
    assert parse_media_type(text) == parsed


@given(st.text(alphabet='a/*;="\\,q. +0', max_size=60))
def test_any_header_chooses_an_offer_or_none(header):
    try:
        assert Accept(header).choose(FRAMES, DEFAULTS) in FRAMES
    except NotAcceptable:
        return
