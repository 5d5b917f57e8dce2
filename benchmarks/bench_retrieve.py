"""Seconds that C-FIND, C-GET and C-MOVE of one series take, and the server's CPU seconds, against Orthanc.

Interleaved. C-GET and C-MOVE are asked for by DCMTK's clients, which throw away what they get. C-FIND is
asked many times in one association by a client that only counts answers: findscu takes longer to decode them
than the servers to find them. Only the ratios of one run mean something.
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
from asker import Asker
from bench_cstore import make_series
from pydicom.uid import generate_uid

from tests.support.servers import free_ports, listens, program, running

_SALT = "retrieve"
_DESTINATION = "DESTINATION"
_STORED = re.compile(r"Received C-STORE Request")
"""What getscu says of each instance."""
_MOVED = "Received Final Move Response (Success)"
"""Each sub-operation succeeded; pending responses on the way are optional (PS3.4 C.4.2.3.1)."""

_QUESTIONS = 40
"""C-FIND requests in one association."""

Question = Callable[[peers.Receiver], list[str]]
"""The command that asks a server."""
Ask = Callable[[peers.Receiver], int]
"""Asks a server, and says how often."""


_UIDS = {
    "0020000D": generate_uid(entropy_srcs=[_SALT, "study"]),
    "0020000E": generate_uid(entropy_srcs=[_SALT, "series"]),
}
INSTANCES_OF_THE_SERIES = {
    "00080018": {"vr": "UI"},
    "00080052": {"vr": "CS", "Value": ["IMAGE"]},
    **{tag: {"vr": "UI", "Value": [uid]} for tag, uid in _UIDS.items()},
    "00200013": {"vr": "IS"},
}


def series_keys() -> list[str]:
    """Options of DCMTK's clients that name the one series."""
    uids = [f"{tag[:4]},{tag[4:]}={uid}" for tag, uid in _UIDS.items()]
    return [word for key in ("QueryRetrieveLevel=SERIES", *uids) for word in ("-k", key)]


def at(receiver: peers.Receiver) -> list[str]:
    return ["-aec", receiver.aet, "127.0.0.1", str(receiver.port)]


RETRIEVALS: dict[str, Question] = {
    "C-GET of a series": lambda receiver: [
        *(program("getscu"), "-v", "-S", "--ignore", *series_keys()),
        *at(receiver),
    ],
    "C-MOVE of a series": lambda receiver: [
        *(program("movescu"), "-v", "-S", "-aem", _DESTINATION, *series_keys()),
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
        compare("C-FIND, instances of a series", found(instances), servers, rounds)
        for what, question in RETRIEVALS.items():
            compare(what, retrieved(question, instances), servers, rounds)


def found(instances: int) -> Ask:
    """C-FIND, as often as makes a time to be measured; seconds of each."""

    def ask(receiver: peers.Receiver) -> int:
        with Asker(receiver.aet, receiver.port, INSTANCES_OF_THE_SERIES) as asker:
            for _ in range(_QUESTIONS):
                if (answers := asker.ask()) != instances:
                    raise RuntimeError(f"{answers} of {instances} answers")
        return _QUESTIONS

    return ask


def retrieved(question: Question, instances: int) -> Ask:
    """Run a client to its end; it must have got every instance."""

    def ask(receiver: peers.Receiver) -> int:
        done = subprocess.run(
            question(receiver), check=True, capture_output=True, text=True, env=peers.NO_NAGLE
        )
        said = done.stdout + done.stderr
        got = instances if _MOVED in said else len(_STORED.findall(said))
        if got < instances:
            raise RuntimeError(f"{got} of {instances} instances: {said[-1000:]}")
        return 1

    return ask


def compare(what: str, ask: Ask, servers: list[peers.Receiver], rounds: int) -> None:
    seconds: dict[str, list[float]] = {each.name: [] for each in servers}
    costs: dict[str, list[float]] = {each.name: [] for each in servers}
    for _ in range(rounds):
        for server in servers:
            cpu, began = server.cpu_seconds(), time.perf_counter()
            times = ask(server)
            seconds[server.name].append((time.perf_counter() - began) / times)
            costs[server.name].append((server.cpu_seconds() - cpu) / times)
    theirs = seconds["Orthanc (SQLite)"]
    for name, mine in seconds.items():
        ratio = statistics.median(other / own for other, own in zip(theirs, mine, strict=True))
        taken, cost = statistics.median(mine), statistics.median(costs[name])
        print(f"| {what} | {name} | {taken:.4f} | {cost:.4f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
