"""Hints are repeated while nobody takes the work, and not more often than that."""

import threading

from isocenter import scheduler
from isocenter.scheduler import Scheduler


class Work:
    def __init__(self):
        self.waiting = []

    def due(self):
        return list(self.waiting)


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
    work.waiting = ["a", "b"]
    planner.tick()
    planner.tick()
    assert sorted(hinted) == ["a", "b"]

    work.waiting = ["b"]
    planner.tick()
    work.waiting = ["a", "b"]  # a was tried, failed, and is due again
    planner.tick()
    assert sorted(hinted) == ["a", "a", "b"]


def test_a_lost_hint_is_repeated(monkeypatch):
    work, hinted = Work(), []
    planner = Scheduler(Triggers(), work, hinted.append)
    work.waiting = ["a"]
    planner.tick()
    monkeypatch.setattr(scheduler, "HINT_AGAIN_SECONDS", 0.0)
    planner.tick()
    assert hinted == ["a", "a"]


def test_trouble_delays_and_ends_nothing(monkeypatch, caplog):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.001)
    stopped, triggers = threading.Event(), Triggers(fails=3)
    work = Work()
    work.waiting = ["a"]
    kept = []
    Scheduler(triggers, work, lambda _: stopped.set(), lambda: kept.append(1)).run(stopped)
    assert kept == [1]
    assert triggers.polls >= 4
    assert caplog.text.count("planning work failed") == 1
