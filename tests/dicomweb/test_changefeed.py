"""The change feed: in order, without gaps, asked for or listened to."""

import json
from contextlib import ExitStack

import pytest

from tests.dicomweb.builders import part10

STREAM = {"Accept": "text/event-stream"}


def uid(number: int) -> str:
    return f"1.2.1.{number}"


def test_what_happened_comes_in_order_page_by_page(web, store):
    for number in (1, 2):
        store(part10(SOPInstanceUID=uid(number)))
    web.delete(f"/studies/1.2/series/1.2.1/instances/{uid(1)}")
    seen, cursor, more = [], None, True
    while more:
        page = web.get("/changefeed", params={"limit": 2} | ({"since": cursor} if cursor else {})).json()
        seen += [(each["kind"], each["instance"]) for each in page["events"]]
        cursor, more = page["cursor"], page["more"]
    assert seen == [
        ("instance.stored", uid(1)),
        ("delivery.ended", None),
        ("instance.stored", uid(2)),
        ("delivery.ended", None),
        ("instance.deleted", uid(1)),
    ]
    nothing = web.get("/changefeed", params={"since": cursor}).json()
    assert nothing == {"events": [], "cursor": cursor, "more": False}


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"limit": 0}, {"limit": 100_000}, {"since": "1" * 65}]
)
def test_a_malformed_question_is_refused(web, query):
    assert web.get("/changefeed", params=query).status_code == 400


def messages(lines):
    """The messages of an event stream as (id, event, data)."""
    found: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        elif "data" in found:
            yield found["id"], found["event"], json.loads(found["data"])
            found = {}


def test_who_listens_is_told_what_was_and_what_comes(web, store):
    store(part10(SOPInstanceUID=uid(1)))
    with web.stream("GET", "/changefeed", headers=STREAM) as stream:
        heard = messages(stream.iter_lines())
        assert next(heard)[2]["instance"] == uid(1)
        cursor, kind, _ = next(heard)
        assert kind == "delivery.ended"
        store(part10(SOPInstanceUID=uid(2)))
        assert next(heard)[2]["instance"] == uid(2)
    store(part10(SOPInstanceUID=uid(3)))
    with web.stream("GET", "/changefeed", headers=STREAM | {"Last-Event-ID": cursor}) as stream:
        heard = messages(stream.iter_lines())
        assert [next(heard)[2]["instance"] for _ in range(3)] == [uid(2), None, uid(3)]


def test_only_so_many_may_listen(make_web, monkeypatch):
    monkeypatch.setattr("dicomweb.changefeed._MAX_LISTENERS", 2)
    web = make_web()
    with ExitStack() as stack:
        for _ in range(2):
            listening = stack.enter_context(web.stream("GET", "/changefeed", headers=STREAM))
            assert listening.status_code == 200
        refused = web.get("/changefeed", headers=STREAM)
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
        assert web.get("/changefeed").status_code == 200
