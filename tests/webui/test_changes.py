"""Pages are told of changes: by a stream that holds no thread, and that ends when the server stops."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from playwright.sync_api import expect

from inference.governance import Standing
from inference.ups.elements import element
from inference.workitems import Completed, Outcome
from isocenter.http import create_app
from isocenter.parts import Part
from isocenter.routing.shipments import Chosen
from storage.errors import DuplicateInstance, StorageDown
from tests.support.web import serving
from tests.webui.browser import WORKSTATION, page_of
from tests.webui.test_worklist import NOW, found, work_item
from webui.live import Live

ALL = ["models", "parts", "refusals", "reviews", "routes", "studies", "work"]
STUDY = "1.2.1"
IMAGE = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": "1.2.1.1", "SOPInstanceUID": "1.2.1.1.1"}
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """The database is asked more often than where people wait."""
    monkeypatch.setattr("isocenter.http.Live", partial(Live, every=0.02))


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
        work.complete([Completed(uid, held.transaction, (), [], {})])
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


def changed_by(services, act: Callable[[], object]) -> set[str]:
    """The kinds whose marks differ after it."""
    before = services.changes.marks()
    act()
    return {kind for kind, mark in services.changes.marks().items() if mark != before[kind]}


def test_a_part_that_comes_falls_silent_or_goes_is_told_and_its_beat_is_not(services):
    now = datetime.now(UTC)
    part = Part("1", "node", "ward-1", 7, "0.9", now, now)
    later = replace(part, beat_at=now + timedelta(seconds=1))
    silent = replace(part, beat_at=now - timedelta(minutes=5))
    for beaten, kinds in ((part, {"parts"}), (later, set()), (silent, {"parts"}), (part, {"parts"})):
        assert changed_by(services, lambda beaten=beaten: services.parts.beat(beaten)) == kinds
    assert changed_by(services, lambda: services.parts.gone(["1"])) == {"parts"}


def test_what_was_refused_decided_or_sent_on_is_told(services, store):
    def refuse() -> None:
        with pytest.raises(DuplicateInstance):
            store(**IMAGE, InstanceNumber=9)

    def queue() -> None:
        services.shipments.begin("0.0")
        chosen = [Chosen("pacs", "all", STUDY, IMAGE["SOPInstanceUID"])]
        assert services.shipments.add("0.0", "0.1", chosen, NOW, timedelta(0))

    store(**IMAGE)
    assert "refusals" in changed_by(services, refuse)
    assert "refusals" in changed_by(services, refuse), "once more"
    decisions = services.decisions
    assert changed_by(services, lambda: decisions.record("m", Standing.DISABLED, by="Ann")) == {"models"}
    assert changed_by(services, queue) == {"routes"}
    shipment = services.shipments.take("pacs", "router", NOW, timedelta(minutes=1))
    results = {IMAGE["SOPInstanceUID"]: ""}
    note = partial(services.shipments.note, shipment, results, NOW, timedelta(minutes=1))
    assert changed_by(services, note) == {"routes"}


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
    monkeypatch.setattr("isocenter.http.Live", partial(Live, most=1))
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


def test_the_operations_page_follows_what_it_is_told(browser, web, store, services):
    with page_of(browser, str(web.base_url), **WORKSTATION) as page:
        page.add_init_script("window.setInterval = () => 0")  # so that it does not ask from time to time
        page.goto("/operations")
        expect(page.get_by_text("No part has said that it runs")).to_be_visible()
        expect(page.get_by_text("Nothing has arrived in the last day")).to_be_visible()
        store(**IMAGE)
        now = datetime.now(UTC)
        services.parts.beat(Part("1", "node", "ward-1", 7, "0.9", now, now))
        held = services.work.claim(work_item(services, STUDY), "worker", timedelta(minutes=1))
        services.work.end(held.uid, held.transaction, Outcome.FAILED, "out of memory")
        services.decisions.record("ct-lung-density", Standing.DISABLED, by="Ann", reason="too slow")
        expect(page.get_by_role("region", name="What arrives").locator("tbody tr")).to_have_count(1)
        expect(page.get_by_role("region", name="Parts")).to_contain_text("ward-1")
        expect(page.get_by_role("region", name="Failed")).to_contain_text("out of memory")
        expect(page.get_by_text("by Ann: too slow")).to_be_visible()


def test_without_the_stream_the_worklist_asks(browser, web, store):
    with page_of(browser, str(web.base_url), expected="429") as page:
        page.route("**/api/changes", lambda route: route.fulfill(status=429))
        page.clock.install()
        page.goto("/")
        expect(page.get_by_text("Nothing has arrived yet")).to_be_visible()
        store(**IMAGE)
        page.clock.run_for(5_000)
        expect(page.locator("table.studies tbody tr")).to_contain_text("Triangle")
