"""C-FIND by dates, times, and both as one."""

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from dicom_node.send import send
from tests.dicom_node.builders import ct, saved

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.fixture
def filled(port, tmp_path):
    """The port of a node with three studies."""
    moments = {"1.2.1": ("20240105", "093000"), "1.2.2": ("20250301", "0930"), "1.2.3": ("20230101", "")}
    sets = [ct(StudyInstanceUID=uid, StudyDate=date, StudyTime=time) for uid, (date, time) in moments.items()]
    sets[0].TimezoneOffsetFromUTC = "+0100"
    send([saved(ds, tmp_path) for ds in sets], "127.0.0.1", port, "ISOCENTER", "TEST")
    return port


def find(port, *, combined=False, **values):
    """Statuses and answers."""
    entity = AE("TEST")
    entity.add_requested_context(STUDY_ROOT)
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = STUDY_ROOT, bytes((1, combined))
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", ext_neg=[item])
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", ""
    for keyword, value in values.items():
        setattr(asked, keyword, value)
    responses = list(assoc.send_c_find(asked, STUDY_ROOT))
    assoc.release()
    return [status.Status for status, _ in responses], [answer for _, answer in responses if answer]


@pytest.mark.parametrize(
    ("dates", "times", "separately", "combined"),
    [
        ("20240105-20250301", "0900-1000", ["1.2.2", "1.2.1"], ["1.2.2", "1.2.1"]),
        ("20240104-20250301", "1000-0900", [], ["1.2.1"]),
        ("20240105-", "0930-", ["1.2.2", "1.2.1"], ["1.2.2", "1.2.1"]),
        ("20240105-", "093001-", [], ["1.2.2"]),
        ("20240101-", "2300-", [], ["1.2.2", "1.2.1"]),
        ("-20240105", "-0930", ["1.2.1"], ["1.2.1", "1.2.3"]),
        ("-20240105", "-0929", [], ["1.2.3"]),
        ("-20230101", "-2359", [], []),  # that study has no time
        ("20240105-", "-1000", ["1.2.2", "1.2.1"], ["1.2.2", "1.2.1"]),  # not the same form
        ("20240105", "0900-1000", ["1.2.1"], ["1.2.1"]),
    ],
)
def test_ranges_of_date_and_time_are_one_when_that_was_negotiated(filled, dates, times, separately, combined):
    asked = {"StudyDate": dates, "StudyTime": times}
    for together, expected in ((False, separately), (True, combined)):
        statuses, answers = find(filled, combined=together, **asked)
        assert statuses[-1] == 0
        assert [answer.StudyInstanceUID for answer in answers] == expected


def test_time_zone_is_answered_where_it_is_known(filled):
    statuses, answers = find(filled, TimezoneOffsetFromUTC="")
    assert [answer.TimezoneOffsetFromUTC for answer in answers] == ["", "+0100", ""]
    assert set(statuses) == {0xFF00, 0}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"StudyDate": "20240105", "StudyTime": "0830"}, ["1.2.1"]),
        ({"StudyDate": "20240105", "StudyTime": "093000"}, []),
        ({"StudyDate": "20240105-20250301", "StudyTime": "0831-0930"}, ["1.2.2"]),
        ({"StudyDate": "20240105", "StudyTime": ""}, ["1.2.1"]),
    ],
)
def test_dates_and_times_are_meant_in_the_zone_of_the_request(filled, asked, expected):
    statuses, answers = find(filled, TimezoneOffsetFromUTC="+0000", **asked)
    assert statuses[-1] == 0
    assert [answer.StudyInstanceUID for answer in answers] == expected


def test_zone_of_a_request_may_be_another_day(filled):
    _, answers = find(filled, TimezoneOffsetFromUTC="-1000", StudyDate="20240104")
    assert [answer.StudyInstanceUID for answer in answers] == ["1.2.1"]


def test_what_is_no_zone_is_named(filled):
    statuses, answers = find(filled, TimezoneOffsetFromUTC="Berlin", StudyDate="20240104")
    assert (statuses, answers) == ([0xC000], [])
