"""What the client has is not sent again: dates and entity tags (RFC 9110 13)."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from sqlalchemy import update

from dicomweb.conditional import Validators, http_date
from storage.instances import Origin
from storage.sql.tables import instances
from tests.dicomweb.builders import multiframe, part10
from tests.dicomweb.test_non_patient import PATH as PROTOCOLS
from tests.dicomweb.test_non_patient import post, protocol

SERIES = "/studies/1.2/series/1.2.1"
INSTANCE = f"{SERIES}/instances/1.2.1.1"
LEVELS = ("/studies/1.2", SERIES, INSTANCE)
EVERYTHING = [
    *(f"{level}{what}" for level in LEVELS for what in ("", "/metadata", "/bulkdata", "/pixeldata")),
    *(f"{level}{what}" for level in LEVELS for what in ("/rendered", "/thumbnail")),
    *(f"{INSTANCE}{what}" for what in ("/frames/1", "/frames/1,2", "/bulkdata/7FE00010")),
    *(f"{INSTANCE}/frames/{numbers}/rendered" for numbers in ("1", "1,2")),
]
OF_INSTANCE = [path for path in EVERYTHING if path.startswith(INSTANCE)]
LONG_AGO = datetime(2020, 2, 3, 4, 5, 6, 700_000, UTC)


@pytest.fixture
def stored(archive, store):
    """Stores, and says when that was; a row shows ten seconds later at the latest."""

    def stored(*files: bytes, at: datetime = LONG_AGO) -> None:
        for outcome in store(*files):
            uid = outcome.instance.key.sop
            with archive._index._engine.begin() as connection:
                here = update(instances).where(instances.c.sop_uid == uid)
                connection.execute(here.values(stored_at=at))

    return stored


def status(web, path: str, **conditions: str) -> int:
    headers = {name.replace("_", "-"): value for name, value in conditions.items()}
    return web.get(path, headers=headers).status_code


def test_every_answer_has_both_validators(web, stored):
    stored(multiframe(2))
    for path in EVERYTHING:
        first = web.get(path, headers={"Accept-Encoding": "identity"})
        assert first.status_code == 200, path
        assert first.headers["last-modified"] == "Mon, 03 Feb 2020 04:05:17 GMT", path
        known = web.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (known.status_code, known.content) == (304, b""), path
        for name in ("etag", "last-modified", "cache-control"):
            assert known.headers[name] == first.headers[name], path
        assert status(web, path, If_None_Match='"other"') == 200, path


def test_what_was_not_stored_since_is_not_sent_again(web, stored):
    stored(multiframe(2))
    for path in OF_INSTANCE:
        date = web.get(path).headers["last-modified"]
        earlier = format_datetime(parsedate_to_datetime(date) - timedelta(seconds=1), usegmt=True)
        assert status(web, path, If_Modified_Since=date) == 304, path
        assert status(web, path, If_Modified_Since=earlier) == 200, path
        # RFC 9110 13.1.3: not looked at beside an entity tag.
        assert status(web, path, If_Modified_Since=date, If_None_Match='"other"') == 200, path


def test_what_left_a_study_shows_whatever_date_the_client_has(web, stored, archive):
    stored(multiframe(2), multiframe(2, SOPInstanceUID="1.2.1.2", InstanceNumber=2))
    before = {path: web.get(path).headers for path in EVERYTHING if path not in OF_INSTANCE}
    archive.delete("1.2", "1.2.1", "1.2.1.2", origin=Origin("review"))
    for path, headers in before.items():
        assert status(web, path, If_Modified_Since=headers["last-modified"]) == 200, path
        assert status(web, path, If_None_Match=headers["etag"]) == 200, path


def test_the_newest_instance_counts(web, stored):
    stored(part10())
    stored(part10(SOPInstanceUID="1.2.1.2", InstanceNumber=2), at=LONG_AGO + timedelta(days=1))
    dates = [web.get(f"{path}/metadata").headers["last-modified"] for path in LEVELS]
    assert [each[:16] for each in dates] == ["Tue, 04 Feb 2020", "Tue, 04 Feb 2020", "Mon, 03 Feb 2020"]


def test_what_has_just_been_stored_has_no_date_of_the_future_and_none_that_holds(web, store):
    store(part10())
    answer = web.get(f"{INSTANCE}/metadata")
    last = parsedate_to_datetime(answer.headers["last-modified"])
    assert last <= datetime.now(UTC)
    again = web.get(f"{INSTANCE}/metadata", headers={"If-Modified-Since": answer.headers["last-modified"]})
    assert again.status_code == 200


def test_every_second_before_a_row_may_show_is_too_early():
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert Validators('"a"', moment).modified == moment + timedelta(seconds=11)
    assert Validators('"a"', moment - timedelta(microseconds=1)).modified == moment + timedelta(seconds=10)
    assert Validators('"a"').headers == {"ETag": '"a"'}


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_a_date_is_read_in_any_of_three_forms(text):
    assert http_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


def test_what_is_no_date_is_passed_over(web, stored):
    stored(part10())
    no_day = "Sun, 31 Feb 2040 08:49:37 GMT"
    for text in ("", "yesterday", "2040-11-06", "Sun, 06 Nov 2040 08:49:37 +0100", no_day):
        assert http_date(text) is None
        assert status(web, f"{INSTANCE}/metadata", If_Modified_Since=text) == 200


def test_a_range_of_what_has_this_date_is_given(web, stored):
    stored(part10())
    headers = {"Accept": "application/dicom", "Range": "bytes=128-131"}
    date = web.get(INSTANCE, headers=headers).headers["last-modified"]
    assert web.get(INSTANCE, headers={**headers, "If-Range": date}).content == b"DICM"
    later = "Sat, 03 Feb 2035 04:05:17 GMT"
    assert web.get(INSTANCE, headers={**headers, "If-Range": later}).status_code == 200


@pytest.mark.parametrize("accept", ["application/dicom+json", "application/dicom"])
def test_what_has_no_patient_has_validators_too(web, accept):
    post(web, protocol())
    answer = web.get(f"{PROTOCOLS}/2.25.1", headers={"Accept": accept})
    assert {"etag", "last-modified"} <= {*answer.headers}
    later = {"Accept": accept, "If-Modified-Since": "Sat, 03 Feb 2035 04:05:17 GMT"}
    assert web.get(f"{PROTOCOLS}/2.25.1", headers=later).status_code == 304
