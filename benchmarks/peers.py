"""The receivers that are compared, as processes on free loopback ports, and what they cost in CPU time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.servers import free_ports, listens, postgres, program, running  # noqa: E402 - the checkout is the path
from tests.support.system import isocenter as command  # noqa: E402
from tests.support.system import served  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
PLUGINS = "/usr/share/orthanc/plugins"
NO_NAGLE = {**os.environ, "TCP_NODELAY": "1"}


@dataclass(frozen=True)
class Receiver:
    """Where to send, and whose CPU time to count."""

    name: str
    aet: str
    port: int
    pid: int
    http: str = ""

    def cpu_seconds(self) -> float:
        """User and system time of the process and all its descendants so far."""
        return sum(_own_cpu(pid) for pid in _family(self.pid))

    def peak_mb(self) -> float:
        """Sum of the peak resident sizes of the process and its descendants."""
        return sum(_status(pid, "VmHWM") for pid in _family(self.pid)) / 1024


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _family(int(child)))]


def _own_cpu(pid: int) -> float:
    # Its own, and that of children it has waited for: storescp has one for each association.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def _status(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(key)), 0)


def _toml(table: dict[str, object]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


@contextmanager
def isocenter(folder: Path, *peers: dict[str, object], **settings: str) -> Iterator[Receiver]:
    """`isocenter serve` without models, on disk and SQLite; `peers` are those it may send to."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = [f"[[node.peers]]\n{lines}" for lines in map(_toml, peers)]
    (folder / "isocenter.toml").write_text("\n".join(tables))
    settings["ISOCENTER_CONFIG"] = str(folder / "isocenter.toml")
    with served(folder, ISOCENTER_INFERENCE__ENABLED="false", ISOCENTER_LOG_LEVEL="warning", **settings) as (
        system,
        process,
    ):
        yield Receiver("Isocenter (SQLite)", "ISOCENTER", system.port, process.pid, system.http)


@contextmanager
def isocenter_postgres(folder: Path, **settings: str) -> Iterator[Receiver]:
    """The same on a PostgreSQL server of its own, which flushes; its CPU time is not counted."""
    with postgres(folder.parent / f"{folder.name}-server", durable=True) as url:
        settings["ISOCENTER_INDEX__URL"] = url.replace("postgresql:", "postgresql+psycopg:")
        migrated = command("migrate", environment={"ISOCENTER_DATA": str(folder / "data"), **settings})
        if migrated.returncode:
            raise RuntimeError(migrated.stderr)
        with isocenter(folder / "node", **settings) as receiver:
            yield replace(receiver, name="Isocenter (PostgreSQL)")


@contextmanager
def orthanc(
    folder: Path, *peers: dict[str, object], plugins: Sequence[str] = (), **configuration: object
) -> Iterator[Receiver]:
    """Orthanc as Debian ships it, with its SQLite index, its DICOMweb plugin and other `plugins`."""
    folder.mkdir(parents=True, exist_ok=True)
    dicom, http = free_ports(2)
    configuration = {
        "Name": "ORTHANC",
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "HttpPort": http,
        "StorageDirectory": str(folder / "storage"),
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {str(each["aet"]): [each["aet"], each["host"], each["port"]] for each in peers},
        "Plugins": [f"{PLUGINS}/{name}.so" for name in ("libOrthancDicomWeb", *plugins)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **configuration,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    start = [program("Orthanc"), str(folder / "orthanc.json")]
    with running(start, folder / "log", lambda: listens(dicom) and listens(http), env=NO_NAGLE) as process:
        yield Receiver("Orthanc (SQLite)", "ORTHANC", dicom, process.pid, f"http://127.0.0.1:{http}")


@contextmanager
def orthanc_postgres(folder: Path) -> Iterator[Receiver]:
    """The same with its PostgreSQL index, on a server of its own; its CPU time is not counted."""
    with postgres(folder.parent / f"{folder.name}-server", durable=True) as url:
        at = urlsplit(url)
        index = {"EnableIndex": True, "EnableStorage": False, "Host": at.hostname, "Port": at.port}
        index |= {"Database": "postgres", "Username": at.username, "Password": ""}
        with orthanc(folder, plugins=["libOrthancPostgreSQLIndex"], PostgreSQL=index) as receiver:
            yield replace(receiver, name="Orthanc (PostgreSQL)")


@contextmanager
def nginx(folder: Path, files: Path) -> Iterator[Receiver]:
    """One worker of nginx that sends what lies in `files` by `sendfile`."""
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports()
    (folder / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; user root; pid {folder}/pid; error_log {folder}/log;\n"
        "events {}\nhttp { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n"
        f"server {{ listen 127.0.0.1:{port}; root {files}; }} }}\n"
    )
    start = [program("nginx", (Path("/usr/sbin"),)), "-c", str(folder / "nginx.conf")]
    with running(start, folder / "out", lambda: listens(port)) as process:
        yield Receiver("nginx", "", 0, process.pid, f"http://127.0.0.1:{port}")


@contextmanager
def storescp(folder: Path) -> Iterator[Receiver]:
    """DCMTK's receiver, bit preserving; it neither flushes nor indexes."""
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports()
    command = [program("storescp"), "-B", "-pdu", "131072", "--fork", "-od", str(folder), str(port)]
    with running(
        command, folder.parent / f"{folder.name}.log", lambda: listens(port), env=NO_NAGLE
    ) as process:
        yield Receiver("storescp (no flush, no index)", "STORESCP", port, process.pid)


def send(receiver: Receiver, folders: list[Path], *, nagle: bool = False) -> None:
    """One `dcmsend` for each folder, all at the same time; `nagle`: with Nagle's algorithm, its default."""
    base = [program("dcmsend"), "-aec", receiver.aet, "+sd", "--no-halt", "127.0.0.1", str(receiver.port)]
    senders = [
        subprocess.Popen(
            [*base, str(folder)],
            env=None if nagle else NO_NAGLE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for folder in folders
    ]
    for sender in senders:
        _, said = sender.communicate()
        if sender.returncode:
            raise RuntimeError(f"dcmsend to {receiver.name} failed: {said.decode()[-500:]}")
