"""When a series counts as complete."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from inference.completeness import Arrivals, Completeness
from inference.expected import Expected
from storage.events import Event
from storage.instances import Origin

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RULES = Completeness(quiet=timedelta(seconds=5), settle=timedelta(seconds=1))


def event(kind: str, seconds: float, delivery: str = "a") -> Event:
    sop = None if kind == "delivery.ended" else "1.2.3.4"
    at = START + timedelta(seconds=seconds)
    return Event("1.1", kind, "1.2", "1.2.3", sop, delivery, Origin("dimse"), at)


def stored(seconds: float, delivery: str = "a") -> Event:
    return event("instance.stored", seconds, delivery)


def ended(seconds: float, delivery: str = "a") -> Event:
    return event("delivery.ended", seconds, delivery)


def after(*events: Event, wait: timedelta | None = None) -> Arrivals | None:
    state = None
    for each in events:
        state = RULES.after(state, each, wait)
    return state


@pytest.mark.parametrize(
    ("events", "due"),
    [
        ([stored(0)], 5),
        ([stored(0), stored(3)], 8),
        ([stored(0), stored(1), ended(2)], 3),
        ([stored(0), ended(0.1)], 5),
        ([stored(0), stored(1, "b"), stored(1), stored(1, "b"), ended(2)], 6),
        ([stored(0), stored(1, "b"), stored(1), stored(1, "b"), ended(2), ended(3, "b")], 4),
        ([stored(0), stored(1), ended(2), stored(2.5, "late")], 7.5),
        ([stored(0), stored(0), ended(4.5)], 5),
        ([stored(0), event("instance.replaced", 2)], 7),
        ([stored(0), event("instance.deleted", 2)], 5),
    ],
    ids=[
        "one image",
        "more images wait longer",
        "the end of a delivery of several",
        "the end of a delivery of one says little",
        "another delivery is still under way",
        "both deliveries have ended",
        "a late image",
        "the end never makes it later",
        "a replaced image",
        "a deleted image",
    ],
)
def test_each_event_moves_the_due_time(events, due):
    assert after(*events).due_at == START + timedelta(seconds=due)


def test_the_end_of_a_delivery_that_brought_nothing_new_arms_nothing():
    assert after(ended(0)) is None


def test_the_last_image_is_remembered_and_every_event_makes_a_version():
    state = after(stored(0), stored(1), ended(2))

    assert state.received_at == START + timedelta(seconds=1)
    assert (state.version, state.deliveries) == (3, {})


@pytest.mark.parametrize(
    ("events", "wait", "due"),
    [
        ([stored(0), ended(0.1)], 0.5, 0.6),
        ([stored(0), stored(1), ended(2)], 20, 22),
        ([stored(0), stored(1)], 0.5, 6),
        ([stored(0), stored(0, "b"), ended(1)], 0.5, 5),
    ],
    ids=["one image in one delivery", "a slow sender", "a delivery under way", "another delivery under way"],
)
def test_what_was_learnt_of_a_sender_counts_when_its_delivery_ends(events, wait, due):
    assert after(*events, wait=timedelta(seconds=wait)).due_at == START + timedelta(seconds=due)


def test_the_longest_pause_between_deliveries_is_noted():
    events = [stored(0), ended(1), stored(3, "b"), ended(4, "b"), stored(5, "c"), ended(5, "c")]
    assert after(*events).pause == timedelta(seconds=2)


def test_what_is_sent_long_after_is_no_pause():
    assert after(stored(0), ended(1), stored(3000, "b")).pause == timedelta(0)


@pytest.mark.parametrize(
    ("expected", "stored_images", "due"),
    [
        (Expected(4, exact=True), 4, 2.5),
        (Expected(4, exact=True), 3, 6),
        (Expected(4), 4, 2),
        (Expected(4), 5, 3),
        (Expected(), 3, 3),
    ],
    ids=["all", "one is missing", "a whole acquisition", "no whole acquisition", "nothing told"],
)
def test_the_number_of_images_moves_the_due_time(expected, stored_images, due):
    state = replace(after(stored(0), stored(1), ended(2)), expected=expected)
    now = START + timedelta(seconds=2.5)
    assert RULES.counted(state, stored_images, now).due_at == START + timedelta(seconds=due)
