"""Pages are told of changes: by a stream that holds no thread, and that ends when the server stops."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, contextmanager
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import expect

from inference.ups.elements import element
from isocenter.http import create_app
from storage.errors import StorageDown
from tests.support.web import serving
from tests.webui.browser import page_of
from tests.webui.test_worklist import found, work_item
from webui.live import Live

ALL = ["reviews", "studies", "work"]
STUDY = "1.2.1"
IMAGE = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": "1.2.1.1", "SOPInstanceUID": "1.2.1.1.1"}
STREAM = {"Accept": "text/event-stream"}


@contextmanager
def listening(web: httpx.Client) -> Iterator[Iterator[list[str]]]:
    """What the server says has changed, one list after the other."""
    with web.stream("GET", "/api/changes", headers=STREAM) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: "))
        yield (json.loads(line) for line in lines)


def test_who_listens_is_told_what_kind_of_thing_has_changed(web, store, services):
    work = services.work
    with listening(web) as news:
        assert next(news) == ALL
        store(**IMAGE)
        # The end of the delivery may be told apart from the image.
        assert next(news) == ["studies"]
        uid = work_item(services, STUDY)
        assert any("work" in kinds for kinds in news)
        held = work.claim(uid, "worker", timedelta(minutes=1))
        assert next(news) == ["work"]
        work.progress(uid, held.transaction, 50, "half")
        assert next(news) == ["work"]
        work.complete(uid, held.transaction, (), [], {})
        assert next(news) == ["work"]


def test_verdicts_and_cancellations_are_told(web, store, services):
    store(**IMAGE)
    found(services, STUDY, 0.9)
    waiting = work_item(services, "1.2.2")
    with listening(web) as news:
        assert next(news) == ALL
        body = {"verdict": "accept", "reviewer": {"name": "Reader^Ann"}}
        assert web.post(f"/api/studies/{STUDY}/findings/{STUDY}.9.0/reviews", json=body).is_success
        assert next(news) == ["reviews"]
        services.steps.request_cancel(waiting, {"00741238": element("LT", "not needed")})
        assert next(news) == ["work"]


def test_more_may_listen_than_there_are_threads(services):
    with serving(create_app(services)) as address, ExitStack() as stack:
        limits = httpx.Limits(max_connections=None)
        web = stack.enter_context(httpx.Client(base_url=address, timeout=60, limits=limits))
        news = [stack.enter_context(listening(web)) for _ in range(60)]
        assert web.get("/api/worklist").json()["studies"] == []
        assert all(next(each) == ALL for each in news)


@pytest.mark.parametrize("path", ["/api/changes", "/dicom-web/changefeed"])
def test_streams_end_when_the_server_stops(services, path):
    with ExitStack() as stack:
        with serving(create_app(services)) as address:
            web = stack.enter_context(httpx.Client(base_url=address, timeout=60))
            lines = stack.enter_context(web.stream("GET", path, headers=STREAM)).iter_lines()
            assert next(lines).startswith("retry: ")
        assert all(not line or line.startswith(("event:", "data:")) for line in lines)


class Answers:
    """Marks as they are given, the last one again and again; an error is raised."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0

    def marks(self) -> dict[str, str]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"studies": answer, "work": "the same"}


async def first(live: Live, number: int) -> list[frozenset[str]]:
    async with aclosing(live.listen(60)) as news:
        return [await anext(news) for _ in range(number)]


def test_one_question_serves_all_who_listen():
    answers = Answers("1")

    async def a_hundred() -> list[list[frozenset[str]]]:
        live = Live(answers)
        return await asyncio.gather(*(first(live, 1) for _ in range(100)))

    assert asyncio.run(a_hundred()) == [[{"studies", "work"}]] * 100
    assert answers.asked == 1


def test_a_database_that_was_away_is_asked_again():
    live = Live(Answers(StorageDown("away"), "1", StorageDown("away"), "1", "2"), every=0.001)
    assert asyncio.run(first(live, 2)) == [{"studies", "work"}, {"studies"}]


def test_silence_is_said():
    async def heard() -> list[frozenset[str]]:
        async with aclosing(Live(Answers("1"), every=0.001).listen(0.01)) as news:
            return [await anext(news) for _ in range(2)]

    assert asyncio.run(heard()) == [{"studies", "work"}, frozenset()]


def test_one_too_many_is_refused(services, monkeypatch):
    monkeypatch.setattr("isocenter.http.Live", lambda changes: Live(changes, most=1))
    with (
        serving(create_app(services)) as address,
        httpx.Client(base_url=address, timeout=60) as web,
        listening(web) as news,
    ):
        next(news)
        refused = web.get("/api/changes", headers=STREAM)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")


def test_the_worklist_follows_what_it_is_told(browser, web, store, services):
    with page_of(browser, str(web.base_url)) as page:
        with page.expect_response("**/api/changes") as answered:
            page.goto("/")
        assert answered.value.status == 200
        expect(page.get_by_text("Nothing has arrived yet")).to_be_visible()
        store(**IMAGE)
        row = page.locator("table.studies tbody tr")
        expect(row).to_contain_text("Triangle")
        found(services, STUDY, 0.9)
        expect(row).to_contain_text("Nodule")


def test_without_the_stream_the_worklist_asks(browser, web, store):
    with page_of(browser, str(web.base_url), expected="429") as page:
        page.route("**/api/changes", lambda route: route.fulfill(status=429))
        page.goto("/")
        expect(page.get_by_text("Nothing has arrived yet")).to_be_visible()
        store(**IMAGE)
        expect(page.locator("table.studies tbody tr")).to_contain_text("Triangle")
