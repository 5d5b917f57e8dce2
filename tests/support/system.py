"""A running Isocenter: `isocenter serve`, or its parts as separate processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dicomweb_client import DICOMwebClient

READY_SECONDS = 60


def isocenter(
    *arguments: str, environment: dict[str, str], **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "isocenter", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


class Process:
    """One long-running `isocenter` command; its log is kept for the failure message."""

    def __init__(self, *arguments: str, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "isocenter", *arguments],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.facts = self._wait_ready()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _wait_ready(self) -> dict[str, str]:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.append(self._process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(READY_SECONDS)
        if not lines or not lines[0].startswith("ready"):
            self._process.kill()
            raise RuntimeError(f"not ready: {lines}\n{self.log.read_text()[-4000:]}")
        return dict(word.split("=", 1) for word in lines[0].split()[1:])

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(seconds)
        self._process.stdout.close()
        return code

    def children(self) -> dict[str, int]:
        """Process ids of the parts that `serve` started, by name."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {part_name(int(pid)): int(pid) for pid in listed}


def part_name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[words.index(b"isocenter") + 1].decode() if b"isocenter" in words else ""


class System:
    """What a user of a running Isocenter can reach."""

    def __init__(self, environment: dict[str, str], dicom: str, http: str) -> None:
        self.environment = environment
        self.host, _, port = dicom.rpartition(":")
        self.port = int(port)
        self.http = http

    @property
    def web(self) -> DICOMwebClient:
        return DICOMwebClient(f"{self.http}/dicom-web")

    def work(self) -> list[dict[str, Any]]:
        done = isocenter("work", "list", "--json", environment=self.environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def wait_for_work(self, count: int, seconds: float = 120) -> list[dict[str, Any]]:
        """All work items, once there are `count` and every one has ended."""
        return wait_until(
            self.work,
            lambda items: len(items) >= count and all(i["state"] in {"COMPLETED", "CANCELED"} for i in items),
            seconds,
        )


def wait_until(look: Callable[[], Any], good: Callable[[Any], bool], seconds: float) -> Any:
    """What `look` gives, as soon as it is `good`; the last look is part of the failure."""
    deadline = time.monotonic() + seconds
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {seen}"
        time.sleep(0.2)
    return seen


@contextmanager
def served(folder: Path, **settings: str) -> Iterator[tuple[System, Process]]:
    """`isocenter serve` on free ports over disk, SQLite and the in-process broker."""
    environment = {"ISOCENTER_DATA": str(folder / "data"), **settings}
    process = Process(
        "serve", "--dicom-port", "0", "--http-port", "0", environment=environment, log=folder / "serve.log"
    )
    try:
        yield System(environment, process.facts["dicom"], process.facts["http"]), process
    finally:
        process.stop()


@contextmanager
def scaled_out(
    folder: Path, postgres_url: str, redis_url: str, s3: dict[str, str], **settings: str
) -> Iterator[tuple[System, dict[str, Process]]]:
    """Node, web, worker and scheduler as separate processes over S3, PostgreSQL and Redis."""
    environment = {
        "ISOCENTER_INDEX__URL": postgres_url,
        "ISOCENTER_BROKER__URL": redis_url,
        "ISOCENTER_STORAGE__BLOBS": "s3",
        "ISOCENTER_STORAGE__S3__ENDPOINT": s3["endpoint"],
        "ISOCENTER_STORAGE__S3__BUCKET": s3["bucket"],
        "ISOCENTER_STORAGE__S3__ACCESS_KEY": s3["access_key"],
        "ISOCENTER_STORAGE__S3__SECRET_KEY": s3["secret_key"],
        "ISOCENTER_STORAGE__S3__TLS": "false",
        "ISOCENTER_NODE__PORT": "0",
        "ISOCENTER_WEB__PORT": "0",
        **settings,
    }
    migrated = isocenter("migrate", environment=environment | {"ISOCENTER_DATA": str(folder / "data")})
    assert migrated.returncode == 0, migrated.stderr
    with ExitStack() as stack:
        parts: dict[str, Process] = {}
        for name in ("node", "web", "worker", "scheduler"):
            own = environment | {"ISOCENTER_DATA": str(folder / name)}
            parts[name] = Process(name, environment=own, log=folder / f"{name}.log")
            stack.callback(parts[name].stop)
        system = System(
            environment | {"ISOCENTER_DATA": str(folder / "data")},
            parts["node"].facts["dicom"],
            parts["web"].facts["http"],
        )
        yield system, parts
