"""Parts say that they run; what was killed falls silent, and is forgotten when its machine starts again."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from isocenter.parts import SILENT, Part, beating, shown
from tests.support.system import wait_until

NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)
NODE = Part("1", "node", "ward-1", 7, "1.0", NOW, NOW)


def heard(parts, *expected: str) -> list[Part]:
    wait_until(lambda: names(parts), lambda found: found == [*expected], 20)
    return parts.all()


def names(parts) -> list[str]:
    return [part.name for part in parts.all()]


def test_a_part_is_heard_while_it_runs_and_gone_when_it_ends(services):
    with beating(services.parts, "worker", "scheduler"):
        heard(services.parts, "scheduler", "worker")
        assert {part.pid for part in services.parts.all()} == {os.getpid()}
    assert names(services.parts) == []


def test_a_later_beat_moves_the_moment_alone(services):
    services.parts.beat(NODE)
    services.parts.beat(replace(NODE, beat_at=NOW + timedelta(seconds=10)))
    assert services.parts.all() == [replace(NODE, beat_at=NOW + timedelta(seconds=10))]


def test_a_part_without_a_word_is_silent():
    assert not shown(NODE, NOW + SILENT)["silent"]
    assert shown(NODE, NOW + SILENT + timedelta(seconds=1))["silent"]


def test_what_was_killed_here_is_forgotten_when_a_part_starts_here(services):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    now = datetime.now(UTC)
    with beating(services.parts, "web"):
        (here,) = heard(services.parts, "web")
        services.parts.beat(Part("2", "node", here.host, ended.pid, "1.0", now, now))
        services.parts.beat(Part("3", "node", "elsewhere", ended.pid, "1.0", now, now))
        with beating(services.parts, "router"):
            heard(services.parts, "node", "router", "web")
        assert "2" not in {part.id for part in services.parts.all()}
