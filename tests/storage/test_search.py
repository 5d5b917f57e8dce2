"""Every matching kind on both databases, at every level."""

from typing import Any

import pytest
from pydicom.dataset import Dataset

from storage.errors import InvalidQuery
from storage.keywords import from_keywords
from storage.names import name_groups, normalised
from storage.search import (
    ATTRIBUTES,
    BY_KEYWORD,
    DateTimeRange,
    Empty,
    Exact,
    Level,
    Match,
    OneOf,
    Query,
    Range,
    Wildcard,
)
from storage.sql import narrowing, search
from storage.sql.matching import same_times
from tests.storage.conftest import Stored

CT, MR, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.88.33"


def study(number: int, **attributes: Any) -> dict[str, Any]:
    uid = f"1.2.{number}"
    return {
        "StudyInstanceUID": uid,
        "SeriesInstanceUID": f"{uid}.1",
        "SOPInstanceUID": f"{uid}.1.1",
        "PatientID": f"P{number}",
        "AccessionNumber": f"A{number}",
        "StudyID": f"S{number}",
        "StudyDate": f"2024010{number}",
        **attributes,
    }


ARCHIVE = (
    study(1, PatientName="Smith^John", StudyDescription="CT Thorax nativ", StudyTime="0930"),
    study(2, PatientName="SMITHSON^Ann", StudyDescription="Schädel-CT", StudyTime="101500.5"),
    study(3, PatientName="Müller^Jörg^^Dr", StudyDescription="MR Knie 100%", Modality="MR", SOPClassUID=MR),
    study(4, PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう", StudyTime="235959", PatientSex="M"),
    study(
        5, PatientName="Hong^Gildong=洪^吉洞=홍^길동", StudyDate="", StudyTime="", AccessionNumber="a_b[1]"
    ),
    study(
        6, PatientName="O'Brien^Mary Ann", IssuerOfPatientID="Hospital", ReferringPhysicianName="Curie^Marie"
    ),
    study(
        6,
        SeriesInstanceUID="1.2.6.2",
        SOPInstanceUID="1.2.6.2.1",
        Modality="SR",
        SOPClassUID=SR,
        SeriesNumber=2,
    ),
    study(6, SOPInstanceUID="1.2.6.1.2", InstanceNumber=2, Rows=8, Columns=2),
)


@pytest.fixture
def searched(stored: Stored) -> Stored:
    # One by one, so that the order of arrival is the order of numbers.
    for attributes in ARCHIVE:
        stored.ingest(**attributes)
    return stored


def tag(keyword: str) -> str:
    return BY_KEYWORD[keyword].tag


def found(stored: Stored, level: Level = "study", *, fuzzy: bool = False, **matches: Any) -> set[str]:
    """The studies (without the common beginning of their UIDs) that match."""
    query = Query(level, tuple(Match(tag(keyword), value) for keyword, value in matches.items()), fuzzy=fuzzy)
    answers = stored.archive.search(query).answers
    uid = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[level]
    return {str(answer[uid]["Value"][0]).removeprefix("1.2.") for answer in answers}  # type: ignore[index]


STUDY_MATCHES: list[tuple[str, Any, str]] = [
    ("PatientName", Exact("smith^john"), "1"),
    ("PatientName", Exact("Smith"), ""),
    ("PatientName", Wildcard("smith*"), "1 2"),
    ("PatientName", Wildcard("SMITH^*"), "1"),
    ("PatientName", Wildcard("*mit*"), "1 2"),
    ("PatientName", Wildcard("*IT*"), "1 2"),
    ("PatientName", Wildcard("sm?th*ann"), "2"),
    ("PatientName", Wildcard("?mith^j*n"), "1"),
    ("PatientName", Exact("muller^jorg^^dr^"), "3"),
    ("PatientName", Wildcard("müller*"), "3"),
    ("PatientName", Exact("山田^太郎"), "4"),
    ("PatientName", Wildcard("山*"), "4"),
    ("PatientName", Wildcard("*太*"), "4"),
    ("PatientName", Wildcard("やまだ^*"), "4"),
    ("PatientName", Wildcard("*길동"), "5"),
    ("PatientName", Exact("yamada^tarou"), "4"),
    ("PatientName", Exact("Yamada^Tarou=山田^太郎"), "4"),
    ("PatientName", Exact("Yamada^Tarou=洪^吉洞"), ""),
    ("PatientName", Wildcard("*'b*"), "6"),
    ("PatientName", Wildcard('*"*'), ""),
    ("PatientName", Wildcard("*tarou=*田*"), "4"),
    ("PatientName", Wildcard("*"), "1 2 3 4 5 6"),
    ("PatientName", Exact("^^="), "1 2 3 4 5 6"),
    ("PatientName", Exact(""), "1 2 3 4 5 6"),
    ("PatientName", OneOf(("Smith^John", "hong^gildong")), "1 5"),
    ("ReferringPhysicianName", Wildcard("curie*"), "6"),
    ("ReferringPhysicianName", Exact("curie^marie"), "6"),
    ("ReferringPhysicianName", Wildcard("rontgen^*"), "1 2 3 4 5"),
    ("IssuerOfPatientID", Empty(), "1 2 3 4 5"),
    ("PatientName", Empty(), ""),
    ("StudyDate", Empty(), "5"),
    ("ModalitiesInStudy", Empty(), ""),
    ("SOPClassesInStudy", Empty(), ""),
    ("NumberOfFrames", Empty(), ""),
    ("InstanceNumber", Empty(), ""),
    ("ScheduledProcedureStepID", Empty(), "1 2 3 4 5 6"),
    ("StudyDate", DateTimeRange(("20240101", "0931"), ("20240102", "1016")), "2"),
    ("PatientID", Exact("P1"), "1"),
    ("PatientID", Exact("p1"), ""),
    ("PatientID", Wildcard("P?"), "1 2 3 4 5 6"),
    ("PatientID", OneOf(("P1", "P6")), "1 6"),
    ("IssuerOfPatientID", Exact("Hospital"), "6"),
    ("PatientBirthDate", Exact("19500101"), "1 2 3 4 5 6"),
    ("PatientSex", Exact("M"), "4"),
    ("AccessionNumber", Exact("A2"), "2"),
    ("AccessionNumber", Wildcard("A*"), "1 2 3 4 6"),
    ("AccessionNumber", Wildcard("*_b[1]"), "5"),
    ("AccessionNumber", Wildcard("a?b[*"), "5"),
    ("StudyID", OneOf(("S1", "S3", "")), "1 3"),
    ("StudyInstanceUID", Exact("1.2.3"), "3"),
    ("StudyInstanceUID", OneOf(("1.2.3", "1.2.5", "9.9")), "3 5"),
    ("StudyDescription", Wildcard("*SCHADEL*"), "2"),
    ("StudyDescription", Exact("mr knie 100%"), "3"),
    ("StudyDescription", Wildcard("*00%"), "3"),
    ("StudyDescription", Wildcard("thorax*"), "4 5 6"),
    ("StudyDate", Exact("20240103"), "3"),
    ("StudyDate", Range("20240102", "20240104"), "2 3 4"),
    ("StudyDate", Range(None, "20240102"), "1 2"),
    ("StudyDate", Range("20240104", None), "4 6"),
    ("StudyDate", Range(None, None), "1 2 3 4 5 6"),
    ("StudyTime", Exact("093000"), "1"),
    ("StudyTime", Range("0930", "0930"), "1"),
    ("StudyTime", Range("09", "1015"), "1 2 3 6"),
    ("StudyTime", Range("101500.4", None), "2 4"),
    ("StudyTime", Range(None, "10"), "1 2 3 6"),
    ("ModalitiesInStudy", Exact("MR"), "3"),
    ("ModalitiesInStudy", Exact("SR"), "6"),
    ("ModalitiesInStudy", Exact("US"), ""),
    ("ModalitiesInStudy", OneOf(("MR", "SR")), "3 6"),
    ("ModalitiesInStudy", Wildcard("?R"), "3 6"),
    ("SOPClassesInStudy", Exact(SR), "6"),
    ("SOPInstanceUID", Exact("1.2.6.2.1"), "6"),
    ("Modality", Exact("SR"), "6"),
    ("Rows", Exact("8"), "6"),
]


def test_studies_are_found_by_every_matching_kind(searched: Stored):
    wrong = [
        (keyword, value, expected, got)
        for keyword, value, expected in STUDY_MATCHES
        if (got := found(searched, **{keyword: value})) != set(expected.split())
    ]
    assert wrong == []


def test_fuzzy_matching_finds_words_in_any_order_and_loses_nothing(searched: Stored):
    for keyword, value, expected in STUDY_MATCHES:
        assert found(searched, fuzzy=True, **{keyword: value}) >= set(expected.split()), (keyword, value)
    for text, expected in [
        ("john smith", "1"),
        ("jorg mull", "3"),
        ("太郎 山田", "4"),
        ("smi", "1 2"),
        ("ann o'brien", "6"),
        ("john müller", ""),
    ]:
        assert found(searched, fuzzy=True, PatientName=Exact(text)) == set(expected.split()), text
        assert found(searched, fuzzy=True, PatientName=Wildcard(f"*{text}*")) == set(expected.split()), text


def test_common_letters_are_found_without_the_index_of_letters(
    searched: Stored, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(narrowing, "_FEW", 1)
    for keyword, value, expected in STUDY_MATCHES:
        assert found(searched, **{keyword: value}) == set(expected.split()), (keyword, value)


def test_conditions_are_joined(searched: Stored):
    assert found(searched, PatientName=Wildcard("smith*"), StudyDate=Exact("20240102")) == {"2"}
    assert found(searched, ModalitiesInStudy=Exact("CT"), PatientID=Exact("P6")) == {"6"}
    assert found(searched, ModalitiesInStudy=Exact("CT"), StudyDate=Range("20240102", "20240105")) == {
        "2",
        "4",
    }
    assert found(searched, ModalitiesInStudy=Exact("CT"), StudyDate=OneOf(("20240102",))) == {"2"}
    assert found(searched, Modality=Exact("SR"), Rows=Exact("4"), StudyInstanceUID=Exact("1.2.6")) == {"6"}
    assert found(searched, Modality=Exact("SR"), Rows=Exact("8")) == set()


def test_series_are_found_by_their_study_and_their_own_attributes(searched: Stored):
    assert found(searched, "series", PatientID=Exact("P6")) == {"6.1", "6.2"}
    assert found(searched, "series", PatientName=Wildcard("*brien*"), Modality=Exact("SR")) == {"6.2"}
    assert found(searched, "series", SeriesNumber=Exact("2")) == {"6.2"}
    assert found(searched, "series", ModalitiesInStudy=Exact("SR"), SeriesNumber=Exact("01")) == {"6.1"}
    assert found(searched, "series", SeriesDescription=Wildcard("LUNGE*"), PatientSex=Exact("M")) == {"4.1"}
    assert found(searched, "series", SOPInstanceUID=OneOf(("1.2.6.1.2", "1.2.1.1.1"))) == {"6.1", "1.1"}


def test_instances_are_found_by_everything_above_them(searched: Stored):
    assert found(searched, "instance", Modality=Exact("SR")) == {"6.2.1"}
    assert found(searched, "instance", PatientID=Exact("P6"), SOPClassUID=Exact(CT)) == {"6.1.1", "6.1.2"}
    assert found(searched, "instance", InstanceNumber=Exact("2")) == {"6.1.2"}
    assert found(searched, "instance", Rows=Exact("8"), Columns=Exact("2"), BitsAllocated=Exact("16")) == {
        "6.1.2"
    }
    assert found(searched, "instance", NumberOfFrames=Exact("1"), StudyInstanceUID=Exact("1.2.1")) == {
        "1.1.1"
    }


def test_path_limits_the_search(searched: Stored):
    archive = searched.archive
    assert len(archive.search(Query("series", study="1.2.6")).answers) == 2
    assert len(archive.search(Query("instance", study="1.2.6")).answers) == 3
    assert len(archive.search(Query("instance", study="1.2.6", series="1.2.6.1")).answers) == 2
    assert archive.search(Query("instance", study="1.2.1", series="1.2.6.1")).answers == ()


def test_requests_are_matched_and_answered_as_items(stored: Stored):
    items = []
    for number in (1, 2):
        item = Dataset()
        item.ScheduledProcedureStepID, item.RequestedProcedureID = f"STEP{number}", f"PROC{number}"
        items.append(item)
    stored.ingest(RequestAttributesSequence=items, PerformedProcedureStepStartDate="20240301")
    for path, value in [("00400275.00400009", Exact("STEP2")), ("00400275.00401001", Wildcard("PROC*"))]:
        (answer,) = stored.archive.search(Query("series", (Match(path, value),))).answers
        assert [item["00400009"]["Value"] for item in answer["00400275"]["Value"]] == [["STEP1"], ["STEP2"]]  # type: ignore[index]
        assert answer["00400244"] == {"vr": "DA", "Value": ["20240301"]}
    assert (
        stored.archive.search(Query("series", (Match("00400275.00400009", OneOf(("STEP",))),))).answers == ()
    )


def test_keys_that_no_index_has_are_matched_in_headers(stored: Stored, monkeypatch: pytest.MonkeyPatch):
    for number in range(1, 5):
        procedure, body = Dataset(), Dataset()
        procedure.CodeValue, procedure.CodingSchemeDesignator = f"P{number % 2}", "99"
        body.CodeValue = "T"
        procedure.PurposeOfReferenceCodeSequence = [body]
        stored.ingest(**study(number), ProcedureCodeSequence=[procedure])
    keys = from_keywords(
        {
            "ProcedureCodeSequence": [
                {"CodeValue": "P?", "PurposeOfReferenceCodeSequence": [{"CodeValue": "T"}]}
            ]
        }
    )
    odd = from_keywords({"ProcedureCodeSequence": [{"CodeValue": "P1"}]})

    def seen(level: Level, keys: Any, **more: Any) -> tuple[list[str], bool]:
        page = stored.archive.search(Query(level, keys=keys, **more))
        return [answer["0020000D"]["Value"][0] for answer in page.answers], page.more

    for level in LEVELS_UP:
        assert seen(level, keys) == (["1.2.4", "1.2.3", "1.2.2", "1.2.1"], False)
        assert seen(level, odd) == (["1.2.3", "1.2.1"], False)
    assert seen("study", odd, limit=1) == (["1.2.3"], True)
    assert seen("study", odd, limit=1, offset=1) == (["1.2.1"], False)
    assert seen("study", odd, offset=5) == ([], False)
    monkeypatch.setattr(search, "MOST_HEADERS", 3)
    assert seen("study", odd) == (["1.2.3"], True)


def test_newest_study_comes_first_and_undated_ones_last(searched: Stored):
    answers = searched.archive.search(Query("study")).answers
    assert [a["0020000D"]["Value"][0][-1] for a in answers] == ["6", "4", "3", "2", "1", "5"]  # type: ignore[index]
    by_modality = searched.archive.search(Query("study", (Match("00080061", Exact("CT")),))).answers
    assert [a["0020000D"]["Value"][0][-1] for a in by_modality] == ["6", "4", "2", "1", "5"]  # type: ignore[index]


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_pages_join_without_gap_or_overlap(searched: Stored, level: Level):
    everything = searched.archive.search(Query(level))
    assert not everything.more
    pages = [searched.archive.search(Query(level, limit=2, offset=offset)) for offset in range(0, 10, 2)]
    assert [answer for page in pages for answer in page.answers] == list(everything.answers)
    assert [page.more for page in pages] == [2 * n < len(everything.answers) for n in range(1, 6)]
    assert searched.archive.search(Query(level, limit=0)).more


def test_every_required_attribute_is_answered_even_when_empty(stored: Stored):
    bare = dict.fromkeys(
        ("AccessionNumber", "PatientName", "StudyTime", "Modality", "SeriesNumber", "InstanceNumber", "Rows")
    )
    stored.ingest(**bare)
    levels: list[Level] = ["study", "series", "instance"]
    for at, level in enumerate(levels):
        (answer,) = stored.archive.search(Query(level)).answers
        required = {a.tag: a.vr for a in ATTRIBUTES if a.answered and a.level in levels[: at + 1]}
        assert required.items() <= {t: e["vr"] for t, e in answer.items()}.items()  # type: ignore[index]
        assert answer["00080050"] == {"vr": "SH"}
        assert answer["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}
        assert list(answer) == sorted(answer)
    assert answer["00200013"] == {"vr": "IS"}
    assert "00280010" not in answer
    assert answer["00280011"] == {"vr": "US", "Value": [4]}


def test_answers_below_a_path_leave_out_what_the_path_fixes(searched: Stored):
    (answer, _) = searched.archive.search(Query("series", study="1.2.6")).answers
    assert answer["0020000D"] == {"vr": "UI", "Value": ["1.2.6"]}
    assert "00100010" not in answer
    instance = searched.archive.search(Query("instance", study="1.2.6", series="1.2.6.2")).answers[0]
    assert instance["0020000E"] == {"vr": "UI", "Value": ["1.2.6.2"]}
    assert "00080060" not in instance


def test_study_counts_and_lists_what_it_holds(searched: Stored):
    query = Query("study", study="1.2.6", include=("00080062", "00100021"))
    (answer,) = searched.archive.search(query).answers
    assert answer["00080061"] == {"vr": "CS", "Value": ["CT", "SR"]}
    assert answer["00201206"] == {"vr": "IS", "Value": [2]}
    assert answer["00201208"] == {"vr": "IS", "Value": [3]}
    assert answer["00080062"] == {"vr": "UI", "Value": [CT, SR]}
    assert answer["00100021"] == {"vr": "LO", "Value": ["Hospital"]}


def test_person_names_are_answered_in_their_groups(searched: Stored):
    (answer,) = searched.archive.search(Query("study", study="1.2.4")).answers
    names = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    assert answer["00100010"] == {"vr": "PN", "Value": [names]}


def test_included_attributes_come_from_the_header(stored: Stored):
    stored.ingest(
        Manufacturer="Acme", PatientComments="tall", SliceThickness="2.5", TimezoneOffsetFromUTC="+0100"
    )
    asked = ("00080070", "00104000", "00180050", "00080060", "7FE00010", "00091001")
    for level in ("study", "series", "instance"):
        (answer,) = stored.archive.search(Query(level, include=asked)).answers
        assert answer["00080070"] == {"vr": "LO", "Value": ["Acme"]}
        assert answer["00104000"] == {"vr": "LT", "Value": ["tall"]}
        assert answer["00180050"] == {"vr": "DS", "Value": [2.5]}
        assert answer["00080060"] == {"vr": "CS", "Value": ["CT"]}
        assert answer["00080201"] == {"vr": "SH", "Value": ["+0100"]}
        assert "7FE00010" not in answer


def test_all_includes_what_belongs_to_the_level(stored: Stored):
    stored.ingest(Manufacturer="Acme", PatientComments="tall", SliceThickness="2.5")
    tags = {
        level: set(stored.archive.search(Query(level, include=("all",))).answers[0]) for level in LEVELS_UP
    }
    beyond = {"00104000", "00080070", "00180050"}
    assert [tags[level] & beyond for level in LEVELS_UP] == [
        {"00104000"},
        {"00104000", "00080070"},
        beyond,
    ]
    assert {"00080021", "00180015"} <= tags["series"]


LEVELS_UP: tuple[Level, ...] = ("study", "series", "instance")


@pytest.mark.parametrize(
    ("match", "named"),
    [
        (Match("00080070", Exact("Acme")), "00080070"),
        (Match("00201206", Exact("1")), "NumberOfStudyRelatedSeries"),
        (Match("0020000D", Wildcard("1.2*")), "StudyInstanceUID"),
        (Match("00100010", Range("a", "b")), "PatientName"),
        (Match("00080020", Wildcard("2024*")), "StudyDate"),
        (Match("00100020", Range("a", None)), "PatientID"),
        (Match("00200011", Exact("one")), "SeriesNumber"),
        (Match("00080061", Range("CT", None)), "ModalitiesInStudy"),
    ],
)
def test_what_cannot_be_matched_is_named(stored: Stored, match: Match, named: str):
    with pytest.raises(InvalidQuery, match=named):
        stored.archive.search(Query("instance", (match,)))


@pytest.mark.parametrize(
    "text",
    ["%", "_", "\\", "'", '"', "[", "\udc80", "\0", "x" * 100_000, "* OR 1=1", "9" * 40, "\U0010ffff*"],
)
def test_hostile_values_find_nothing_and_break_nothing(searched: Stored, text: str):
    for attribute in ATTRIBUTES:
        if attribute.matched:
            for value in (Exact(text), Wildcard(f"{text}*"), OneOf((text, "x")), Range(text, None)):
                try:
                    page = searched.archive.search(
                        Query("instance", (Match(attribute.tag, value),), fuzzy=True)
                    )
                except InvalidQuery:
                    continue
                assert not page.answers or isinstance(value, Range)


def test_names_are_compared_without_case_accents_and_width():
    assert (
        normalised("Ørsted ÅNGSTRÖM ﬁ \uff37\uff49\uff44\uff45 Straße") == "orsted angstrom fi wide strasse"
    )
    assert normalised("が") != normalised("か")
    assert normalised("ｶﾞ") == normalised("ガ")
    assert name_groups("Smith^John^^^=山\uff1d田") == ("smith john", "山 田", "")


def test_times_are_equal_to_what_they_abbreviate():
    assert "0930" in same_times("093000")
    assert "093000.000000" in same_times("0930")
    assert same_times("101500.50") == [f"101500.5{'0' * n}" for n in range(6)]
