"""CPU milliseconds a request over DICOMweb, against Orthanc with its DICOMweb plugin, on the same data.

Interleaved: every round asks both for everything in turn. Only the ratios of one run mean something.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import peers
from bench_cstore import make_series
from pydicom import dcmread

FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
INSTANCE = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True)
class Request:
    """One kind of request, made `times` times in a round."""

    name: str
    path: Callable[[int], str]
    accept: str
    times: int


def requests_for(files: list[Path]) -> list[Request]:
    first = dcmread(files[0], stop_before_pixels=True)
    study = f"/studies/{first.StudyInstanceUID}"
    series = f"{study}/series/{first.SeriesInstanceUID}"
    sops = [dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files]

    def instance(number: int) -> str:
        return f"{series}/instances/{sops[number % len(sops)]}"

    json = "application/dicom+json"
    return [
        Request("study metadata", lambda _: f"{study}/metadata", json, 5),
        Request("search studies, limit 25", lambda _: "/studies?limit=25", json, 20),
        Request("search studies by PatientID", lambda _: f"/studies?PatientID={first.PatientID}", json, 20),
        Request("search instances of a series", lambda _: f"{series}/instances", json, 5),
        Request("one frame", lambda n: f"{instance(n)}/frames/1", FRAME, 100),
        Request("rendered JPEG", lambda n: f"{instance(n)}/rendered", "image/jpeg", 50),
        Request("the series", lambda _: series, INSTANCE, 2),
    ]


def cpu_ms(receiver: peers.Receiver, client: httpx.Client, request: Request) -> float:
    before = receiver.cpu_seconds()
    for number in range(request.times):
        url = f"{receiver.http}/dicom-web{request.path(number)}"
        with client.stream("GET", url, headers={"Accept": request.accept}) as answer:
            size = sum(len(chunk) for chunk in answer.iter_raw())
            if answer.status_code != httpx.codes.OK or not size:
                raise RuntimeError(f"{receiver.name}: {url}: {answer.status_code}")
    return 1000 * (receiver.cpu_seconds() - before) / request.times


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--instances", type=int, default=250)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    instances, rounds = (5, 1) if options.quick else (options.instances, options.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        series = make_series(folder / "series", instances, 512, "dicomweb")
        kinds = (peers.isocenter, peers.orthanc)
        receivers = [stack.enter_context(kind(folder / kind.__name__)) for kind in kinds]
        for receiver in receivers:
            peers.send(receiver, [series])
        client = stack.enter_context(httpx.Client(timeout=300))
        costs: dict[tuple[str, str], list[float]] = {}
        requests = requests_for(sorted(series.iterdir()))
        for _ in range(rounds):
            for request in requests:
                for receiver in receivers:
                    costs.setdefault((request.name, receiver.name), []).append(
                        cpu_ms(receiver, client, request)
                    )
        report(requests, receivers, costs)


def report(
    requests: list[Request], receivers: list[peers.Receiver], costs: dict[tuple[str, str], list[float]]
) -> None:
    ours, theirs = (receiver.name for receiver in receivers)
    print(f"| request | {ours}, CPU ms | {theirs}, CPU ms | requests per CPU second against Orthanc |")
    print("|---|---|---|---|")
    for request in requests:
        a, b = (statistics.median(costs[request.name, name]) for name in (ours, theirs))
        ratio = f"{b / a:.1f}" if a else "none"
        print(f"| {request.name} | {a:.1f} | {b:.1f} | {ratio} |")


if __name__ == "__main__":
    main()
