"""What dies comes back on its port; what never came up is an error; nothing outlives its supervisor."""

import os
import signal
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from isocenter.supervisor import PartFailed, Supervisor
from tests.support.system import part_name, served, wait_until


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"ISOCENTER_DATA": str(tmp_path / "data"), "ISOCENTER_NODE__PORT": "0", "ISOCENTER_WEB__PORT": "0"}


@pytest.fixture
def supervised(environment):
    """A function that starts a part and watches it; it gives its supervisor and where it listens."""
    with ExitStack() as stack:

        def start(name: str = "node", **settings: str) -> tuple[Supervisor, tuple[str, int]]:
            supervisor = Supervisor([name], environment | settings)
            (fact,) = supervisor.start().values()
            host, port = fact.removeprefix("http://").rstrip("/").split(":")
            stack.callback(supervisor.stop)
            ended = threading.Event()
            watching = threading.Thread(target=supervisor.watch, args=(ended.is_set,))
            watching.start()
            stack.callback(watching.join)
            stack.callback(ended.set)
            return supervisor, (host, int(port))

        yield start


def test_a_killed_part_comes_back_on_the_port_its_peers_know(supervised):
    supervisor, address = supervised()
    before = supervisor.parts[0].pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: supervisor.parts[0].pid, lambda pid: pid != before, 30)
    wait_until(lambda: listens(*address), bool, 30)


@pytest.mark.parametrize("name", ["node", "web"])
def test_processes_of_a_part_share_its_port_and_come_back(supervised, name):
    supervisor, address = supervised(name, **{f"ISOCENTER_{name.upper()}__PROCESSES": "2"})
    before = supervisor.parts[0].pid
    (helper,) = children(before)
    os.kill(helper, signal.SIGKILL)
    wait_until(lambda: children(before), lambda now: now not in ([], [helper]), 30)
    assert listens(*address)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: supervisor.parts[0].pid, lambda pid: pid != before, 30)
    wait_until(lambda: listens(*address) and children(supervisor.parts[0].pid), bool, 30)


def test_processes_of_the_web_server_answer_in_each_others_place(supervised):
    supervisor, (host, port) = supervised("web", ISOCENTER_WEB__PROCESSES="2")
    pids = [supervisor.parts[0].pid, *children(supervisor.parts[0].pid)]
    for silent in pids:
        os.kill(silent, signal.SIGSTOP)
        with requests.Session() as session:
            assert session.get(f"http://{host}:{port}/readyz", timeout=20).status_code == 200
        os.kill(silent, signal.SIGCONT)
    os.kill(pids[0], signal.SIGTERM)
    wait_until(lambda: [Path(f"/proc/{pid}").exists() for pid in pids], lambda there: not any(there), 30)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found += map(int, each.read_text().split())
    return found


def listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def test_a_part_that_cannot_start_fails_the_start(environment, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment["ISOCENTER_NODE__PORT"] = str(taken.getsockname()[1])
        with pytest.raises(PartFailed, match="node ended with exit code 1"):
            Supervisor(["node"], environment).start()
    assert "node.port: cannot listen on port" in capfd.readouterr().err


def test_no_part_outlives_a_killed_supervisor(tmp_path):
    with served(tmp_path) as (_, process):
        parts = process.children()
        assert set(parts) == {"node", "web", "worker"}
        process.stop(signal.SIGKILL)
        wait_until(
            lambda: [pid for name, pid in parts.items() if alive(pid, name)], lambda left: not left, 30
        )


def alive(pid: int, name: str) -> bool:
    try:
        return part_name(pid) == name
    except FileNotFoundError:
        return False


def test_sigterm_ends_everything_with_exit_code_0(tmp_path):
    with served(tmp_path) as (_, process):
        assert process.stop() == 0
