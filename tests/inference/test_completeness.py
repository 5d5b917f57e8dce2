"""When a series counts as complete."""

from datetime import UTC, datetime, timedelta

import pytest

from inference.completeness import Arrivals, Completeness
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


def after(*events: Event) -> Arrivals | None:
    state = None
    for each in events:
        state = RULES.after(state, each)
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
