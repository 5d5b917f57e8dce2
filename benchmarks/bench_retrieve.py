"""Seconds that C-FIND, C-GET and C-MOVE of one series take, and the server's CPU seconds, against Orthanc.

Interleaved, with DCMTK's clients, which throw away what they get. Only the ratios of one run mean something.
"""

import argparse
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import peers
from bench_cstore import make_series
from pydicom.uid import generate_uid

from tests.support.servers import free_ports, listens, program, running

_SALT = "retrieve"
_DESTINATION = "DESTINATION"
_ANSWER = re.compile(r"Find Response: \d+ \(Pending\)|Received C-STORE Request")
"""What DCMTK's clients say of each answer or instance."""
_MOVED = "Received Final Move Response (Success)"
"""Each sub-operation succeeded; pending responses on the way are optional (PS3.4 C.4.2.3.1)."""

Question = Callable[[peers.Receiver], list[str]]


def keys(level: str, *more: str) -> list[str]:
    """Options of DCMTK's clients that name the one series."""
    uids = [f"{name}={generate_uid(entropy_srcs=[_SALT, kind])}" for name, kind in _UIDS]
    named = [f"QueryRetrieveLevel={level}", *uids, *more]
    return [word for key in named for word in ("-k", key)]


_UIDS = (("StudyInstanceUID", "study"), ("SeriesInstanceUID", "series"))


def at(receiver: peers.Receiver) -> list[str]:
    return ["-aec", receiver.aet, "127.0.0.1", str(receiver.port)]


QUESTIONS: dict[str, Question] = {
    "C-FIND, instances of a series": lambda receiver: [
        *(program("findscu"), "-v", "-S", *keys("IMAGE", "SOPInstanceUID", "InstanceNumber")),
        *at(receiver),
    ],
    "C-GET of a series": lambda receiver: [
        *(program("getscu"), "-v", "-S", "--ignore", *keys("SERIES")),
        *at(receiver),
    ],
    "C-MOVE of a series": lambda receiver: [
        *(program("movescu"), "-v", "-S", "-aem", _DESTINATION, *keys("SERIES")),
        *at(receiver),
    ],
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--instances", type=int, default=250)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    instances, rounds = (10, 1) if options.quick else (options.instances, options.rounds)
    print("| request | server | seconds | CPU s | speed against Orthanc |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder, (port,) = Path(name), free_ports()
        sink = [program("storescp"), "--ignore", "-pdu", "131072", "-aet", _DESTINATION, str(port)]
        stack.enter_context(
            running(sink, folder / "sink.log", lambda: listens(port), env=peers.NO_NAGLE, cwd=folder)
        )
        destination = {"aet": _DESTINATION, "host": "127.0.0.1", "port": port}
        kinds = (peers.isocenter, peers.orthanc)
        servers = [stack.enter_context(kind(folder / kind.__name__, destination)) for kind in kinds]
        series = make_series(folder / "series", instances, 512, _SALT)
        for server in servers:
            peers.send(server, [series])
        for what, question in QUESTIONS.items():
            compare(what, question, servers, instances, rounds)


def ask(command: list[str], instances: int) -> None:
    """Run a client to its end; it must have got something for each instance."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=peers.NO_NAGLE)
    said = done.stdout + done.stderr
    got = instances if _MOVED in said else len(_ANSWER.findall(said))
    if got < instances:
        raise RuntimeError(f"{got} of {instances} answers: {said[-1000:]}")


def compare(
    what: str, question: Question, servers: list[peers.Receiver], instances: int, rounds: int
) -> None:
    seconds: dict[str, list[float]] = {each.name: [] for each in servers}
    costs: dict[str, list[float]] = {each.name: [] for each in servers}
    for _ in range(rounds):
        for server in servers:
            cpu, began = server.cpu_seconds(), time.perf_counter()
            ask(question(server), instances)
            seconds[server.name].append(time.perf_counter() - began)
            costs[server.name].append(server.cpu_seconds() - cpu)
    theirs = seconds["Orthanc (SQLite)"]
    for name, mine in seconds.items():
        ratio = statistics.median(other / own for other, own in zip(theirs, mine, strict=True))
        taken, cost = statistics.median(mine), statistics.median(costs[name])
        print(f"| {what} | {name} | {taken:.2f} | {cost:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
