"""Which model runs on what, and when; events are read once, whatever happens."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from inference.triggers import Triggers
from inference.workitems import State
from inference.workitems_sql import SqlWorkItems
from models.card import Card
from models.external import ExternalCard
from storage.errors import StorageDown
from tests.inference.analyses import SERIES, STUDY, ct_header, ct_series, film_header


@pytest.fixture
def triggers(archive, work, catalog, clock) -> Triggers:
    return Triggers(archive, work, catalog, clock=clock)


def test_a_delivered_series_becomes_work_for_the_model_that_is_for_it(triggers, deliver, work, clock):
    headers = ct_series(4)
    deliver(headers)
    uids = triggers.poll()

    (item,) = work.list()
    assert uids == [item.uid]
    assert (item.model.name, item.study, item.series, item.instances) == ("dark", STUDY, SERIES, 4)
    assert (item.state, item.due_at) == (State.SCHEDULED, clock.now)
    assert item.received_at < clock.now
    assert set(work.inputs(item.uid).sops) == {ds.SOPInstanceUID for ds in headers}
    assert triggers.poll() == []


def test_a_series_waits_until_it_is_complete(triggers, deliver, clock, work):
    clock.forward(-3600)
    deliver(ct_series(4))
    assert triggers.poll() == []
    clock.forward(2)
    assert len(triggers.poll()) == 1


def test_a_single_image_waits_for_the_quiet_time(triggers, deliver, clock):
    clock.forward(-3600)
    deliver([film_header()])
    clock.forward(3)
    assert triggers.poll() == []
    clock.forward(4)
    assert len(triggers.poll()) == 1


def test_a_series_is_complete_when_as_many_images_are_there_as_one_says(triggers, deliver, clock, work):
    clock.forward(-3600)
    first, *others = ct_series(4, NumberOfSeriesRelatedInstances=4)
    deliver([first])
    deliver(others[:2])
    clock.forward(2)
    assert triggers.poll() == []
    deliver(others[2:])
    (uid,) = triggers.poll()
    assert work.get(uid).instances == 4


def test_images_that_are_missing_by_their_number_are_waited_for_until_it_is_quiet(triggers, deliver, clock):
    clock.forward(-3600)
    deliver(ct_series(4, NumberOfSeriesRelatedInstances=9))
    clock.forward(2)
    assert triggers.poll() == []
    clock.forward(4)
    assert len(triggers.poll()) == 1


def test_a_late_image_is_waited_for_as_long_as_its_number_says(triggers, deliver, work, clock):
    clock.forward(-3600)
    deliver(ct_series(4, NumberOfSeriesRelatedInstances=6))
    clock.forward(6)
    (first,) = triggers.poll()
    clock.forward(-6)
    deliver([ct_header(5, NumberOfSeriesRelatedInstances=6)])
    clock.forward(2)
    assert triggers.poll() == []
    deliver([ct_header(6, NumberOfSeriesRelatedInstances=6)])
    (second,) = triggers.poll()
    assert work.get(second).predecessor == first
    assert work.get(second).instances == 6


def test_of_a_sender_of_single_films_nothing_more_is_expected(triggers, deliver, clock):
    clock.forward(-3600)
    for number in range(5):
        uid = f"2.25.7{number}"
        deliver([film_header(SeriesInstanceUID=f"2.25.6{number}", SOPInstanceUID=uid)])
        assert triggers.poll() == []
        clock.forward(10)
        assert len(triggers.poll()) == 1
        clock.forward(-10)
    deliver([film_header(SeriesInstanceUID="2.25.69", SOPInstanceUID="2.25.79")])
    clock.now = datetime.now(UTC) + timedelta(seconds=1.5)
    assert len(triggers.poll()) == 1


def test_late_images_lead_to_new_work_that_names_its_predecessor(triggers, deliver, work, clock):
    deliver(ct_series(4))
    (first,) = triggers.poll()
    clock.forward(60)
    deliver([ct_header(number) for number in (5, 6)])
    (second,) = triggers.poll()

    assert work.get(second).predecessor == first
    assert (work.get(first).instances, work.get(second).instances) == (4, 6)


def test_the_same_images_sent_again_are_no_new_work(triggers, deliver):
    deliver(ct_series(4))
    assert len(triggers.poll()) == 1
    deliver(ct_series(4))
    assert triggers.poll() == []


@pytest.mark.parametrize("protocol", ["inference", "review", "reindex"])
def test_results_and_reindexing_trigger_nothing(triggers, deliver, protocol):
    deliver(ct_series(4), protocol)

    assert triggers.poll() == []


def test_a_series_that_no_model_is_for_is_no_work(triggers, deliver, work):
    deliver(ct_series(4, Modality="MR"))
    assert triggers.poll() == []
    deliver(ct_series(2, StudyInstanceUID="2.25.7", SeriesInstanceUID="2.25.8"))
    assert triggers.poll() == []
    assert work.list() == ()


def test_localizers_beside_too_few_images_are_no_work(triggers, deliver):
    localizers = [ct_header(number, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]) for number in (8, 9)]
    deliver([*ct_series(2), *localizers])

    assert triggers.poll() == []


def test_each_film_of_a_series_is_work_of_its_own(triggers, deliver, work):
    deliver([film_header(), film_header(SOPInstanceUID="2.25.55")])
    uids = triggers.poll()

    assert len(uids) == 2
    assert {item.instances for item in work.list()} == {1}
    assert {item.predecessor for item in work.list()} == {None}


def test_a_series_that_was_deleted_before_it_was_due_is_forgotten(triggers, deliver, archive):
    deliver(ct_series(4))
    archive.delete(STUDY)

    assert triggers.poll() == []


def test_a_new_process_goes_on_where_the_last_one_stopped(archive, engine, catalog, clock, deliver):
    clock.forward(-3600)
    deliver(ct_series(4))
    Triggers(archive, SqlWorkItems(engine, clock), catalog, clock=clock).poll()
    clock.forward(10)

    assert len(Triggers(archive, SqlWorkItems(engine, clock), catalog, clock=clock).poll()) == 1


def test_several_processes_make_each_work_item_once(archive, work, catalog, clock, deliver):
    for study in range(6):
        deliver(ct_series(3, StudyInstanceUID=f"2.25.9{study}", SeriesInstanceUID=f"2.25.8{study}"))
    start = threading.Barrier(3)

    def poll(_: int) -> list[str]:
        mine = Triggers(archive, work, catalog, clock=clock)
        start.wait()
        return [uid for _ in range(4) for uid in mine.poll()]

    with ThreadPoolExecutor(3) as processes:
        found = [uid for uids in processes.map(poll, range(3)) for uid in uids]

    assert sorted(found) == sorted(item.uid for item in work.list())
    assert len(found) == 6


class Killed(BaseException):
    """The process ends here."""


STEPS = ("cursor", "waiting", "advance", "due", "create_for")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_the_work_is_made_once(triggers, work, deliver, monkeypatch, *, step, when):
    deliver(ct_series(4))
    target = work if step == "create_for" else work.arrivals
    real = getattr(target, step)

    def killed(*arguments, **options):
        if when == "after":
            real(*arguments, **options)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(target, step, killed)
        with pytest.raises(Killed):
            triggers.poll()
    triggers.poll()

    assert len(work.list()) == 1


def test_images_that_arrive_while_work_is_made_are_not_lost(triggers, deliver, work, clock, monkeypatch):
    deliver(ct_series(4))
    real = work.create_for

    def slow(arrivals, news):
        deliver([ct_header(number) for number in (5, 6)])
        monkeypatch.undo()
        triggers._read_events()
        return real(arrivals, news)

    monkeypatch.setattr(work, "create_for", slow)
    assert triggers.poll() == []
    clock.forward(10)
    assert [work.get(uid).instances for uid in triggers.poll()] == [6]


class OneIsImpossible:
    """A catalogue whose models cannot be told for one series."""

    def __init__(self, catalog) -> None:
        self._catalog = catalog
        self.times = 0

    def cards(self) -> list[Card]:
        self.times += 1
        if self.times == 1:
            raise RuntimeError("cannot be judged")
        return self._catalog.cards()

    def external(self) -> list[ExternalCard]:
        return []


def test_a_series_that_cannot_be_judged_does_not_hold_up_the_others(archive, work, catalog, clock, deliver):
    for number in range(2):
        deliver(ct_series(3, StudyInstanceUID=f"2.25.9{number}", SeriesInstanceUID=f"2.25.8{number}"))
    triggers = Triggers(archive, work, OneIsImpossible(catalog), clock=clock)

    assert len(triggers.poll()) == 1
    clock.forward(120)
    assert len(triggers.poll()) == 1


def test_an_archive_that_does_not_answer_loses_nothing(triggers, archive, deliver, monkeypatch):
    deliver(ct_series(4))

    def down(*_):
        raise StorageDown("away")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "instances", down)
        with pytest.raises(StorageDown):
            triggers.poll()
    assert len(triggers.poll()) == 1
