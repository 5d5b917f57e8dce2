"""Requests a second of several readers at once over DICOMweb: one web process, two, and Orthanc, in turn.

The readers are processes on the same cores. Only the ratios of one run mean something.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import peers  # first: it makes the checkout the path
from bench_cstore import make_series
from bench_dicomweb import Request, requests_for

_ASKED = ("search studies by PatientID", "study metadata", "one frame", "rendered JPEG")
_OK = 200


def read(http: str, paths: list[str], accept: str, until: float) -> int:
    """Ask for these in turn on one connection; how many answers came whole before the time."""
    connection = HTTPConnection(urlsplit(http).netloc)
    count = 0
    while time.monotonic() < until:
        connection.request("GET", f"/dicom-web{paths[count % len(paths)]}", headers={"Accept": accept})
        answer = connection.getresponse()
        if not answer.read() or answer.status != _OK:
            raise RuntimeError(f"{http}: {paths[count % len(paths)]}: {answer.status}")
        count += 1
    return count


def rate(receiver: peers.Receiver, request: Request, options: argparse.Namespace) -> float:
    """Requests a second."""
    paths = [request.path(number) for number in range(options.instances)]
    asked = (receiver.http, paths, request.accept, time.monotonic() + options.seconds)
    with multiprocessing.Pool(options.readers) as pool:
        return sum(pool.starmap(read, [asked] * options.readers)) / options.seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--instances", type=int, default=60)
    arguments.add_argument("--readers", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    if options.quick:
        options.instances, options.rounds, options.seconds = 2, 1, 0.2
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        series = make_series(folder / "series", options.instances, 512, "readers")
        one, two = (
            stack.enter_context(peers.isocenter(folder / str(count), ISOCENTER_WEB__PROCESSES=str(count)))
            for count in (1, 2)
        )
        receivers = [replace(one, name="Isocenter"), replace(two, name="Isocenter, 2 web processes")]
        receivers.append(stack.enter_context(peers.orthanc(folder / "orthanc")))
        for receiver in receivers:
            peers.send(receiver, [series])
        requests = [each for each in requests_for(sorted(series.iterdir())) if each.name in _ASKED]
        rates: dict[tuple[str, str], list[float]] = {}
        for _ in range(options.rounds):
            for request in requests:
                for receiver in receivers:
                    found = rate(receiver, request, options)
                    rates.setdefault((request.name, receiver.name), []).append(found)
        print(f"| {options.readers} readers at once | {' | '.join(each.name for each in receivers)} |")
        print("|---" * (len(receivers) + 1) + "|")
        for request in requests:
            shown = (round(statistics.median(rates[request.name, each.name])) for each in receivers)
            print(f"| {request.name} | {' | '.join(map(str, shown))} |")


if __name__ == "__main__":
    main()
