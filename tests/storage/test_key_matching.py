"""Every kind of matching of PS3.4 C.2.2.2, against a data set in memory."""

import pytest

from storage.errors import InvalidQuery
from storage.key_matching import Keys
from storage.keywords import Unreadable, from_keywords, to_keywords

STEP = {
    "Modality": "CT",
    "ScheduledStationAETitle": ["CT1", "CT2"],
    "ScheduledProcedureStepStartDate": "20300705",
    "ScheduledProcedureStepStartTime": "1030",
    "ScheduledProcedureStepStartDateTime": "20300705103000+0200",
    "ScheduledProcedureStepModificationDateTime": "soon",
    "ScheduledPerformingPhysicianName": "Zhivago^Yuri=живаго^юрий",
}
ENTRY = {
    "PatientName": "Müller^Jörg",
    "PatientID": "P-1 [x]",
    "StudyInstanceUID": "1.2.3",
    "PatientWeight": 70.5,
    "SpecialNeeds": None,
    "ScheduledProcedureStepSequence": [STEP],
}
START = ("00400002", "00400003")


def matches(*, fuzzy=False, **keys):
    return Keys(from_keywords(keys), moments=[START], fuzzy=fuzzy).match(from_keywords(ENTRY))


def step_matches(**keys):
    return matches(ScheduledProcedureStepSequence=[keys])


@pytest.mark.parametrize(
    ("keyword", "asked", "found"),
    [
        ("PatientID", "P-1 [x]", True),
        ("PatientID", "p-1 [x]", False),
        ("PatientID", "P-1*", True),
        ("PatientID", "P-? [x]", True),
        ("PatientID", "*[x]", True),
        ("PatientID", "P-1 [a-z]", False),
        ("PatientID", "*", True),
        ("PatientID", None, True),
        ("PatientID", '""', False),
        ("AccessionNumber", '""', True),
        ("AccessionNumber", "*", True),
        ("AccessionNumber", "1", False),
        ("AccessionNumber", None, True),
        ("PatientName", "MÜLLER^JÖRG", True),
        ("PatientName", "muller*", True),
        ("PatientName", "Müller", False),
        ("PatientName", "Jörg*", False),
        ("StudyInstanceUID", "1.2.3", True),
        ("StudyInstanceUID", ["1.2.4", "1.2.3"], True),
        ("StudyInstanceUID", ["1.2.4", "1.2.5"], False),
        ("PatientWeight", "70.5", True),
        ("PatientWeight", "70", False),
    ],
)
def test_keys_of_the_entry(keyword, asked, found):
    assert matches(**{keyword: asked}) is found


@pytest.mark.parametrize(
    ("keyword", "asked", "found"),
    [
        ("ScheduledStationAETitle", "CT2", True),
        ("ScheduledStationAETitle", "CT3", False),
        ("ScheduledStationAETitle", ["MR1", "CT1"], True),
        ("Modality", "C?", True),
        ("Modality", "MR", False),
        ("ScheduledProcedureStepStartDate", "20300705", True),
        ("ScheduledProcedureStepStartDate", "2030.07.05", True),
        ("ScheduledProcedureStepStartDate", "20300706", False),
        ("ScheduledProcedureStepStartDate", "20300701-20300705", True),
        ("ScheduledProcedureStepStartDate", "-20300704", False),
        ("ScheduledProcedureStepStartDate", "20300705-", True),
        ("ScheduledProcedureStepStartTime", "103000.0", True),
        ("ScheduledProcedureStepStartTime", "10:30:00", True),
        ("ScheduledProcedureStepStartTime", "10", False),
        ("ScheduledProcedureStepStartTime", "10-10", True),
        ("ScheduledProcedureStepStartTime", "1031-", False),
        ("ScheduledProcedureStepStartTime", "-103000", True),
        ("ScheduledProcedureStepStartDateTime", "20300705", True),
        ("ScheduledProcedureStepStartDateTime", "203007050830+0000", True),
        ("ScheduledProcedureStepStartDateTime", "203007051030", False),
        ("ScheduledProcedureStepStartDateTime", "2030070509-", False),
        ("ScheduledProcedureStepStartDateTime", "-2030070508", True),
        ("ScheduledProcedureStepStartDateTime", "203007051000+0200-203007051100+0200", True),
        ("ScheduledProcedureStepStartDateTime", "203006-0500", False),
        ("ScheduledProcedureStepModificationDateTime", "2030", False),
        ("ScheduledPerformingPhysicianName", "zhivago*", True),
        ("ScheduledPerformingPhysicianName", "Живаго^*", True),
        ("ScheduledPerformingPhysicianName", "Zhivago^Yuri=Живаго^Юрий", True),
        ("ScheduledPerformingPhysicianName", "Zhivago^Yuri=Other", False),
    ],
)
def test_keys_of_the_step(keyword, asked, found):
    assert step_matches(**{keyword: asked}) is found


@pytest.mark.parametrize(
    ("days", "times", "found"),
    [
        ("20300704-20300706", "1800-0800", True),  # from the 4th at 18:00 until the 6th at 08:00
        ("20300705-20300706", "1031-0800", False),
        ("20300704-20300705", "1800-1029", False),
        ("20300704-20300705", "1800-1030", True),
        ("-20300705", "-1029", False),
        ("20300705-", "1030-", True),
        ("20300705", "1800-2000", False),
    ],
)
def test_ranges_of_date_and_time_are_one_range(days, times, found):
    asked = {"ScheduledProcedureStepStartDate": days, "ScheduledProcedureStepStartTime": times}
    assert step_matches(**asked) is found


def test_words_of_a_name_match_in_any_order_when_that_is_asked_for():
    assert not matches(PatientName="jorg mull")
    assert matches(PatientName="jorg mull", fuzzy=True)
    assert not matches(PatientName="jorg maier", fuzzy=True)


def test_all_keys_of_an_item_match_in_one_item():
    entry = from_keywords(
        {"OtherPatientIDsSequence": [{"PatientID": "1", "IssuerOfPatientID": "A"}, {"PatientID": "2"}]}
    )

    def found(**keys):
        return Keys(from_keywords({"OtherPatientIDsSequence": [keys]})).match(entry)

    assert found(PatientID="1", IssuerOfPatientID="A")
    assert not found(PatientID="2", IssuerOfPatientID="A")
    assert found(PatientID=None)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"PatientBirthDate": "yesterday"}, "00100030"),
        ({"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStartTime": "25h"}]}, "00400003"),
        ({"ScheduledProcedureStepSequence": [{"Modality": "CT"}, {"Modality": "MR"}]}, "00400100"),
        ({"ScheduledProcedureStepModificationDateTime": "soon"}, "00404010"),
        ({"ScheduledProcedureStepModificationDateTime": "-"}, "00404010"),
        ({"ScheduledProcedureStepModificationDateTime": "99991231235959-1200"}, "00404010"),
        ({"PatientID": "*" * 300 + "1"}, "00100020"),
        ({"PatientID": [str(each) for each in range(10_001)]}, "00100020"),
    ],
)
def test_keys_that_make_no_sense_are_named(keys, named):
    with pytest.raises(InvalidQuery, match=named):
        Keys(from_keywords(keys))


def test_many_stars_do_not_take_long():
    entry = from_keywords({"PatientComments": "a" * 5000})
    assert not Keys(from_keywords({"PatientComments": "*a" * 100 + "b"})).match(entry)


def test_keywords_there_and_back():
    assert to_keywords(from_keywords(ENTRY)) == ENTRY


@pytest.mark.parametrize(
    ("readable", "named"),
    [
        ({"Nonsense": 1}, "Nonsense"),
        ({"PatientWeight": "heavy"}, "PatientWeight"),
        ({"PatientID": {"a": 1}}, "PatientID"),
        ({"PixelData": "AA"}, "PixelData"),
        ({"RequestAttributesSequence": "text"}, "RequestAttributesSequence"),
        ({"PatientID": "a\0b"}, "PatientID"),
    ],
)
def test_what_is_no_attribute_is_named(readable, named):
    with pytest.raises(Unreadable, match=named):
        from_keywords(readable)
