"""CPU milliseconds a request over DICOMweb, against Orthanc with its DICOMweb plugin, on the same data.

Interleaved: every round asks both for everything in turn. Only the ratios of one run mean something.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import peers  # first: it makes the checkout the path
from bench_cstore import make_series
from pydicom import dcmread

FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
BOUNDARY = "3d6b6a416f9b5ae34ba7e5d3f2c1a0b9"
STORED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
INSTANCE = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True)
class Request:
    """One kind of request, made `times` times in a round; a POST where there is a body."""

    name: str
    path: Callable[[int], str]
    accept: str
    times: int
    body: Callable[[int], bytes] | None = None


def make_studies(folder: Path, count: int) -> Path:
    """`count` studies of one tiny instance each, of a third as many patients."""
    folder.mkdir(parents=True)
    ds = dcmread(next(make_series(folder / "one", 1, 8, "tiny").iterdir()))
    for number in range(count):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.826.0.1.99.{number}", f"1.2.826.0.1.99.{number}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SeriesInstanceUID}.1"
        ds.PatientID, ds.PatientName = f"P{number // 3}", f"Family{number // 3}^Given"
        ds.StudyDate, ds.AccessionNumber = f"20{number % 25:02}{1 + number % 12:02}15", f"A{number}"
        ds.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


def store_body(file: Path, study: int, number: int) -> bytes:
    """A multipart body of ten instances that no other number has, of a study that has no other instances."""
    ds, data = dcmread(file, stop_before_pixels=True), file.read_bytes()
    for uid in (ds.StudyInstanceUID.encode(), ds.SeriesInstanceUID.encode()):
        data = data.replace(uid, uid[:-9] + b"%09d" % study)
    uid = ds.SOPInstanceUID.encode()
    parts = [data.replace(uid, uid[:-9] + b"%09d" % (study + 10 * number + part)) for part in range(10)]
    delimiter = f"--{BOUNDARY}".encode()
    head = delimiter + b"\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + delimiter + b"--\r\n"


def requests_for(files: list[Path]) -> list[Request]:
    first = dcmread(files[0], stop_before_pixels=True)
    study = f"/studies/{first.StudyInstanceUID}"
    series = f"{study}/series/{first.SeriesInstanceUID}"
    sops = [dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files]

    def instance(number: int) -> str:
        return f"{series}/instances/{sops[number % len(sops)]}"

    json = "application/dicom+json"
    new = 10**8 + round(time.time()) % 8_000_000 * 100
    return [
        Request("study metadata", lambda _: f"{study}/metadata", json, 20),
        Request("search studies, limit 25", lambda _: "/studies?limit=25", json, 50),
        Request("search studies by PatientID", lambda _: f"/studies?PatientID={first.PatientID}", json, 50),
        Request(
            "search studies of a month", lambda _: "/studies?StudyDate=20240101-20240131&limit=25", json, 50
        ),
        Request("search instances of a series", lambda _: f"{series}/instances", json, 20),
        Request("one frame", lambda n: f"{instance(n)}/frames/1", FRAME, 200),
        Request("rendered JPEG", lambda n: f"{instance(n)}/rendered", "image/jpeg", 50),
        Request("the series", lambda _: series, INSTANCE, 10),
        Request(
            "store ten instances", lambda _: "/studies", json, 10, lambda n: store_body(files[0], new, n)
        ),
    ]


def cpu_ms(receiver: peers.Receiver, client: httpx.Client, request: Request, round_: int) -> float:
    bodies = [request.body(round_ * request.times + n) for n in range(request.times)] if request.body else []
    before = receiver.cpu_seconds()
    for number in range(request.times):
        url = f"{receiver.http}/dicom-web{request.path(number)}"
        content = bodies[number] if bodies else None
        headers = {"Accept": request.accept} | ({"Content-Type": STORED} if bodies else {})
        with client.stream("POST" if bodies else "GET", url, headers=headers, content=content) as answer:
            size = sum(len(chunk) for chunk in answer.iter_raw())
            if answer.status_code != httpx.codes.OK or not size:
                raise RuntimeError(f"{receiver.name}: {url}: {answer.status_code}")
    return 1000 * (receiver.cpu_seconds() - before) / request.times


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--instances", type=int, default=250)
    arguments.add_argument("--studies", type=int, default=10_000, help="tiny studies beside the series")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument(
        "--postgres",
        action="store_true",
        help="both on PostgreSQL",
    )
    arguments.add_argument("--nginx", action="store_true", help="compare frames with nginx too")
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    arguments.add_argument("--keep", type=Path, help="folder of both archives, filled once and found again")
    options = arguments.parse_args()
    if options.quick:
        options.instances, options.studies, options.rounds = 5, 10, 1
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        measure(options, options.keep or Path(name), stack)


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
    series, studies = folder / "series", folder / "studies"
    if not series.exists():
        make_series(series, options.instances, 512, "dicomweb")
        make_studies(studies, options.studies)
    folder.chmod(0o755)  # the database server is another user
    kinds = (
        (peers.isocenter_postgres, peers.orthanc_postgres)
        if options.postgres
        else (peers.isocenter, peers.orthanc)
    )
    receivers = [stack.enter_context(kind(folder / kind.__name__)) for kind in kinds]
    for receiver, kind in zip(receivers, kinds, strict=True):
        filled = folder / f"{kind.__name__}-filled"
        if not filled.exists():
            peers.send(receiver, [series, studies])
            filled.touch()
    client = stack.enter_context(httpx.Client(timeout=300))
    costs: dict[tuple[str, str], list[float]] = {}
    requests = requests_for(sorted(series.iterdir()))
    if options.quick:
        requests = [replace(request, times=2) for request in requests]
    for round_ in range(options.rounds):
        for request in requests:
            for receiver in receivers:
                cost = cpu_ms(receiver, client, request, round_)
                costs.setdefault((request.name, receiver.name), []).append(cost)
    report(requests, receivers, costs)
    if options.nginx:
        frame = next(request for request in requests if request.name == "one frame")
        against_nginx(folder, receivers[0], client, frame, options.rounds)


def against_nginx(
    folder: Path, ours: peers.Receiver, client: httpx.Client, frame: Request, rounds: int
) -> None:
    """The same answer as a file; both in turn."""
    answer = client.get(f"{ours.http}/dicom-web{frame.path(0)}", headers={"Accept": frame.accept})
    file = folder / "files" / "dicom-web" / "frame"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(answer.content)
    as_file = replace(frame, path=lambda _: "/frame", times=20 * frame.times)
    with peers.nginx(folder / "nginx", folder / "files") as theirs:
        pairs = [(cpu_ms(ours, client, frame, 0), cpu_ms(theirs, client, as_file, 0)) for _ in range(rounds)]
    a, b = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    print(
        f"\nOne frame: {ours.name} {a:.2f} CPU ms, nginx {b:.2f}: {b / a:.2f} of its requests per CPU second"
    )


def report(
    requests: list[Request], receivers: list[peers.Receiver], costs: dict[tuple[str, str], list[float]]
) -> None:
    ours, theirs = (receiver.name for receiver in receivers)
    print(f"| request | {ours}, CPU ms | {theirs}, CPU ms | requests per CPU second against Orthanc |")
    print("|---|---|---|---|")
    for request in requests:
        a, b = (statistics.median(costs[request.name, name]) for name in (ours, theirs))
        ratio = f"{b / a:.1f}" if a else "none"
        print(f"| {request.name} | {a:.2f} | {b:.2f} | {ratio} |")


if __name__ == "__main__":
    main()
