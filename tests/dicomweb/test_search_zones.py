"""Dates and times of a search in another time zone than that of the studies."""

import pytest

from tests.dicomweb.builders import part10

TOKYO, LISBON, UNKNOWN = "1.1", "1.2", "1.3"


@pytest.fixture(autouse=True)
def studies(store):
    """At the same moment in Tokyo and Lisbon, and at that hour of nobody knows where."""
    for study, zone, date, time in (
        (TOKYO, "+0900", "20240201", "053000"),
        (LISBON, "+0000", "20240131", "203000"),
        (UNKNOWN, None, "20240131", "2030"),
    ):
        uids = {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": f"{study}.1",
            "SOPInstanceUID": f"{study}.1.1",
        }
        more = {"TimezoneOffsetFromUTC": zone} if zone else {}
        store(part10(**uids, StudyDate=date, StudyTime=time, **more))


def found(web, query: str) -> list[str]:
    answer = web.get(f"/studies?{query}")
    assert answer.status_code == 200, answer.text
    return sorted(each["0020000D"]["Value"][0] for each in answer.json())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("StudyDate=20240131", [LISBON, UNKNOWN]),
        ("StudyDate=20240131&TimezoneOffsetFromUTC=%2B0000", [TOKYO, LISBON, UNKNOWN]),
        ("StudyDate=20240131&TimezoneOffsetFromUTC=-0500", [TOKYO, LISBON, UNKNOWN]),
        ("StudyDate=20240201&TimezoneOffsetFromUTC=+0900", [TOKYO, LISBON]),
        ("StudyDate=20240201-&TimezoneOffsetFromUTC=+0900", [TOKYO, LISBON]),
        ("StudyTime=0500-0559&00080201=+0900", [TOKYO, LISBON]),
        ("StudyTime=053000&00080201=+0900", [TOKYO, LISBON]),
        ("StudyDate=20240131-20240201&StudyTime=2200-0600&TimezoneOffsetFromUTC=+0900", [TOKYO, LISBON]),
        ("StudyDate=20240131-20240201&StudyTime=2200-0500&TimezoneOffsetFromUTC=+0900", []),
        ("StudyDate=20240131%5C20240201&TimezoneOffsetFromUTC=+0900", [TOKYO, LISBON, UNKNOWN]),
        ("TimezoneOffsetFromUTC=", [TOKYO, LISBON, UNKNOWN]),
        ("PatientID=P1&TimezoneOffsetFromUTC=+0900", [TOKYO, LISBON, UNKNOWN]),
    ],
)
def test_moments_are_compared_in_the_zone_of_the_search(web, query, expected):
    assert found(web, query) == expected


def test_answers_say_in_which_zone_their_times_are(web):
    query = "StudyDate=20240201&TimezoneOffsetFromUTC=%2B0900"
    zones = {
        each["0020000D"]["Value"][0]: each.get("00080201") for each in web.get(f"/studies?{query}").json()
    }
    assert zones[TOKYO] == {"vr": "SH", "Value": ["+0900"]}
    assert zones[LISBON] == {"vr": "SH", "Value": ["+0000"]}


@pytest.mark.parametrize("zone", ["0100x", "+9", "Europe/Berlin", "%2B0190"])
def test_what_is_no_offset_is_named(web, zone):
    answer = web.get(f"/studies?StudyDate=20240131&TimezoneOffsetFromUTC={zone}")
    assert answer.status_code == 400
    assert "offset from UTC" in answer.json()["detail"]


def test_dates_at_the_ends_of_the_calendar_do_no_harm(web):
    for date in ("00010101", "99991231", "20240231"):
        assert found(web, f"StudyDate={date}&TimezoneOffsetFromUTC=%2B1400") == []
