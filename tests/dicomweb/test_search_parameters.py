"""What a QIDO-RS client may ask, and how it is understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.problems import BadRequest
from dicomweb.search_parameters import attribute, read_query
from storage.errors import InvalidInstance
from storage.search import DateTimeRange, Empty, Exact, Match, OneOf, Query, Range, Wildcard


def match(name: str, *values: str):
    """The one match that `name` with `values` becomes."""
    (only,) = read_query([(name, value) for value in values], "study").matches
    return only


@pytest.mark.parametrize("name", ["PatientID", "00100020"])
def test_an_attribute_is_named_by_keyword_or_tag(name):
    assert match(name, "A1") == Match("00100020", Exact("A1"))


def test_a_path_into_a_sequence_joins_names_by_dots():
    assert attribute("RequestAttributesSequence.00400009").tag == "00400275.00400009"


@pytest.mark.parametrize(
    "name", ["PatientIdd", "0010002", "00100003", "PatientID.PatientID", "", ".", "StudyDate.", "a.b" * 50]
)
def test_an_unknown_attribute_is_refused_by_its_name(name):
    with pytest.raises(BadRequest, match="attribute"):
        read_query([(name, "1")], "study")


@pytest.mark.parametrize("name", ["WindowCenter", "00291010", "PixelData", "NumberOfStudyRelatedSeries"])
def test_an_attribute_that_is_not_searched_by_is_refused_as_it_was_named(name):
    with pytest.raises(BadRequest, match=f"{name} is not an attribute to search by"):
        read_query([(name, "1")], "study")


@pytest.mark.parametrize(
    ("name", "values", "value"),
    [
        ("PatientName", ["*doe^j?n*"], Wildcard("*doe^j?n*")),
        ("PatientName", ["Doe, John"], Exact("Doe, John")),
        ("StudyInstanceUID", ["1.2,1.3"], OneOf(("1.2", "1.3"))),
        ("StudyInstanceUID", ["1.2\\1.3"], OneOf(("1.2", "1.3"))),
        ("StudyInstanceUID", ["1.2", "1.3"], OneOf(("1.2", "1.3"))),
        ("StudyInstanceUID", ["1.2,"], Exact("1.2")),
        ("ModalitiesInStudy", ["CT,MR"], OneOf(("CT", "MR"))),
        ("ModalitiesInStudy", ["CT", "MR"], OneOf(("CT", "MR"))),
        ("StudyDate", ["20200101"], Exact("20200101")),
        ("StudyDate", ["20200101-20200131"], Range("20200101", "20200131")),
        ("StudyDate", ["-20200131"], Range(None, "20200131")),
        ("StudyDate", ["20200101-"], Range("20200101", None)),
        ("StudyTime", ["10:30-1130"], Range("1030", "1130")),
        ("StudyTime", ["101500.25"], Exact("101500.25")),
        ("InstanceNumber", ["3"], Exact("3")),
        ("PatientID", ['""'], Empty()),
        ("StudyDate", ['""'], Empty()),
    ],
)
def test_values_become_the_matching_kind_of_their_vr(name, values, value):
    assert match(name, *values).value == value


@pytest.mark.parametrize("value", ["", "*", "**"])
def test_a_universal_match_only_asks_for_the_attribute(value):
    query = read_query([("PatientComments", value)], "study")
    assert (query.matches, query.include) == ((), ("00104000",))


@pytest.mark.parametrize(
    ("parameters", "include"),
    [
        ([("includefield", "all"), ("includefield", "PatientID")], ("all",)),
        (
            [("includefield", "00081030,00080060"), ("includefield", "PatientID")],
            ("00081030", "00080060", "00100020"),
        ),
        ([("includefield", "PatientID,00100020,")], ("00100020",)),
        ([], ()),
    ],
)
def test_includefield_comes_as_a_list_or_repeated(parameters, include):
    assert read_query(parameters, "study").include == include


def test_what_ohif_asks_for_its_study_list_is_understood():
    parameters = [
        ("limit", "101"),
        ("offset", "0"),
        ("fuzzymatching", "true"),
        ("includefield", "00081030,00080060"),
        ("StudyDate", "20200101-20201231"),
        ("PatientName", "*x*"),
    ]
    assert read_query(parameters, "study") == Query(
        "study",
        matches=(Match("00080020", Range("20200101", "20201231")), Match("00100010", Wildcard("*x*"))),
        include=("00081030", "00080060"),
        fuzzy=True,
        limit=101,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "-1"),
        ("limit", "1e3"),
        ("limit", "²"),
        ("limit", "9" * 400),
        ("offset", "99999999999"),
        ("offset", ""),
        ("fuzzymatching", "perhaps"),
        ("multiplevaluematching", "perhaps"),
        ("emptyvaluematching", "1"),
        ("includefield", "NoSuchField"),
        ("StudyDate", "2020-01-01"),
        ("StudyDate", "-"),
        ("StudyDate", "yesterday"),
        ("StudyDate", "2020*"),
        ("StudyDate", "20200101-20200102\\20200103"),
        ("StudyTime", "noon"),
        ("StudyInstanceUID", "1.2.x"),
        ("StudyInstanceUID", ","),
        ("PatientID", '""\\a'),
        ("ProcedureCodeSequence.Nothing", "1"),
        ("ReferencedStudySequence.StudyDate", "soon"),
        ("IconImageSequence.PixelData", "1"),
        ("PatientID", "a\x00b"),
        ("PatientID", "a*\\b"),
    ],
)
def test_a_malformed_value_is_refused_by_the_name_of_its_parameter(name, value):
    with pytest.raises(BadRequest, match=name if name != "includefield" else "NoSuchField"):
        read_query([(name, value)], "study")


def test_several_values_match_with_and_without_the_switch_for_it():
    asked = ("PatientID", "a\\b")
    for more in ([], [("multiplevaluematching", "true"), ("emptyvaluematching", "true")]):
        assert read_query([asked, *more], "study").matches == (Match("00100020", OneOf(("a", "b"))),)


def test_ranges_of_a_date_and_its_time_are_one_range():
    asked = [("StudyTime", "1800-0800"), ("StudyDate", "20240101-20240102"), ("PatientID", "a")]
    joined = Match("00080020", DateTimeRange(("20240101", "1800"), ("20240102", "0800")))
    assert set(read_query(asked, "study").matches) == {joined, Match("00100020", Exact("a"))}
    apart = [("StudyTime", "1800-"), ("StudyDate", "20240101-20240102")]
    assert Match("00080030", Range("1800", None)) in read_query(apart, "study").matches


def test_a_key_in_a_sequence_that_no_index_has_is_looked_for_in_headers():
    query = read_query(
        [("ProcedureCodeSequence.CodeValue", "P5-1\\P5-2"), ("00081032.00080102", "SRT")], "study"
    )
    item = {"00080100": {"vr": "SH", "Value": ["P5-1", "P5-2"]}, "00080102": {"vr": "SH", "Value": ["SRT"]}}
    assert (query.matches, query.keys) == ((), {"00081032": {"vr": "SQ", "Value": [item]}})


def test_a_private_attribute_is_included_by_its_creator():
    query = read_query(
        [("includefield", "00291008,StudyDate"), ("00290010", "SIEMENS CSA HEADER")], "instance"
    )
    assert (query.include, query.matches) == (("00291008", "00080020"), ())
    assert query.creators == {"00291008": "SIEMENS CSA HEADER"}


def test_the_resource_narrows_the_search():
    query = read_query([], "instance", study="1.2", series="1.3")
    assert (query.study, query.series) == ("1.2", "1.3")


def test_a_resource_that_is_no_uid_is_refused():
    with pytest.raises(InvalidInstance, match="StudyInstanceUID"):
        read_query([], "series", study="../..")


_NAMES = st.sampled_from(
    ["StudyDate", "StudyTime", "PatientName", "StudyInstanceUID", "limit", "InstanceNumber"]
)


@given(st.lists(st.tuples(st.one_of(_NAMES, st.text(max_size=12)), st.text(max_size=20)), max_size=4))
def test_any_parameters_make_a_query_or_a_bad_request(parameters):
    try:
        assert read_query(parameters, "study").level == "study"
    except BadRequest:
        return
