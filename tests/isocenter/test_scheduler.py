"""Hints are repeated while nobody takes the work, and not more often than that."""

import threading

from isocenter import scheduler
from isocenter.scheduler import Scheduler


class Work:
    def __init__(self):
        self.waiting = {"cpu": [], "gpu": []}

    def due(self, *, limit, resources):
        return [uid for resource in resources for uid in self.waiting[resource]][:limit]


class Triggers:
    def __init__(self, fails=0):
        self.polls = 0
        self.fails = fails

    def poll(self):
        self.polls += 1
        if self.polls <= self.fails:
            raise ConnectionError("the database is away")
        return []


def test_due_work_is_hinted_once_until_it_is_taken():
    work, hinted = Work(), []
    planner = Scheduler(Triggers(), work, hinted.append)
    work.waiting["cpu"] = ["a", "b"]
    planner.tick()
    planner.tick()
    assert hinted == ["cpu", "cpu"]

    work.waiting["cpu"] = ["b"]
    planner.tick()
    work.waiting["cpu"] = ["a", "b"]  # a was tried, failed, and is due again
    planner.tick()
    assert hinted == ["cpu", "cpu", "cpu"]


def test_work_is_hinted_where_its_resource_is():
    work, hinted = Work(), []
    work.waiting = {"cpu": ["a"], "gpu": ["b", "c"]}
    Scheduler(Triggers(), work, hinted.append).tick()
    assert hinted == ["cpu", "gpu", "gpu"]


def test_hints_are_few_however_much_waits():
    work, hinted = Work(), []
    planner = Scheduler(Triggers(), work, hinted.append)
    work.waiting["cpu"] = [str(number) for number in range(10_000)]
    planner.tick()
    assert len(hinted) == scheduler.AHEAD

    del work.waiting["cpu"][:2]  # taken: two more come into sight
    planner.tick()
    assert len(hinted) == scheduler.AHEAD + 2


def test_a_lost_hint_is_repeated(monkeypatch):
    work, hinted = Work(), []
    planner = Scheduler(Triggers(), work, hinted.append)
    work.waiting["cpu"] = ["a"]
    planner.tick()
    monkeypatch.setattr(scheduler, "HINT_AGAIN_SECONDS", 0.0)
    planner.tick()
    assert hinted == ["cpu", "cpu"]


def test_trouble_delays_and_ends_nothing(monkeypatch, caplog):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.001)
    stopped, triggers = threading.Event(), Triggers(fails=3)
    work = Work()
    work.waiting["cpu"] = ["a"]
    kept = []
    Scheduler(triggers, work, lambda _: stopped.set(), lambda: kept.append(1)).run(stopped)
    assert kept == [1]
    assert triggers.polls >= 4
    assert caplog.text.count("planning work failed") == 1
