"""Real PostgreSQL, Redis and Ceph RGW (S3) servers on free loopback ports, each in a folder of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from minio import Minio

START_SECONDS = 60


class MissingServer(Exception):
    """A server program is not installed; `make test` installs it when root."""


def free_ports(count: int = 1) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def program(name: str, folders: Iterator[Path] | tuple[Path, ...] = ()) -> str:
    found = shutil.which(name) or next((str(f / name) for f in folders if (f / name).exists()), None)
    if found is None:
        raise MissingServer(f"{name} is not installed: run `make test` as root, or install it yourself")
    return found


@contextmanager
def running(
    command: list[str], log: Path, ready: Callable[[], bool], **popen: object
) -> Iterator[subprocess.Popen]:
    """The process of `command`, once `ready()`; killed at the end, and with this process."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [program("setpriv"), "--pdeathsig", "KILL", *command],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            **popen,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    (port,) = free_ports()
    folder.mkdir(parents=True)
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with running([*command, "--save", "", "--appendonly", "no"], folder / "log", lambda: listens(port)):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgres(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """The URL of the server's `postgres` database, without a driver; in tests nobody cuts the power.

    A folder where such a server was before is taken as it is.
    """
    (port,) = free_ports()
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb, server = program("initdb", iter(versions)), program("postgres", iter(versions))
    folder.mkdir(parents=True, exist_ok=True)
    owner: dict[str, object] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        owner = {"user": account.pw_uid, "group": account.pw_gid}
    data = folder / "data"
    if not data.exists():
        make = [initdb, "-D", data, "-U", "isocenter", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([*make, "--no-sync"], check=True, capture_output=True, cwd=folder, **owner)
    command = [
        server,
        "-D",
        str(data),
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
        "-k",
        "",
        *([] if durable else ["-F"]),
    ]
    ready = [program("pg_isready", iter(versions)), "-q", "-h", "127.0.0.1", "-p", str(port)]
    log = folder.parent / f"{folder.name}.log"
    with running(
        command, log, lambda: subprocess.run(ready, check=False).returncode == 0, cwd=folder, **owner
    ):
        yield f"postgresql://isocenter@127.0.0.1:{port}/postgres"


CEPH_CONF = """\
[global]
fsid = 3f1cf8b2-6f0e-4b8e-9a3b-5a1c0c0de001
mon host = [v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]
mon initial members = a
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
osd crush chooseleaf type = 0
[mon]
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 2
paxos propose interval = 0.02
paxos min wait = 0.01
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd memory target = 939524096
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 64
rgw crypt require ssl = false
"""
S3_KEY = "isocenter-test"


@contextmanager
def rgw(folder: Path) -> Iterator[str]:
    """The endpoint (host:port) of a one-node Ceph object gateway that keeps its data in memory."""
    port, v1, v2 = free_ports(3)
    (folder / "mon").mkdir(parents=True)
    (folder / "osd").mkdir()
    conf, keyring = folder / "ceph.conf", folder / "keyring"
    conf.write_text(CEPH_CONF.format(folder=folder, port=port, v1=v1, v2=v2))
    environment = {**os.environ, "CEPH_CONF": str(conf)}

    def do(*command: object) -> str:
        arguments = [program(str(command[0])), *map(str, command[1:])]
        done = subprocess.run(
            arguments, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{arguments} failed: {done.stderr[-1000:]}")
        return done.stdout.strip()

    do("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    for entity in ("client.admin", "client.rgw", "osd.0"):
        do(
            "ceph-authtool",
            keyring,
            "--gen-key",
            "-n",
            entity,
            "--cap",
            "mon",
            "allow *",
            "--cap",
            "osd",
            "allow *",
        )
    fsid = "3f1cf8b2-6f0e-4b8e-9a3b-5a1c0c0de001"
    address = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]"
    do("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", address, folder / "monmap")
    do("ceph-mon", "--mkfs", "-i", "a", "--monmap", folder / "monmap", "--keyring", keyring)
    with ExitStack() as stack:

        def start(name: str, *arguments: str, ready: Callable[[], bool]) -> None:
            command = [program(name), *arguments, "-f"]
            stack.enter_context(running(command, folder / f"{name}.out", ready, env=environment))

        start("ceph-mon", "-i", "a", ready=lambda: listens(v1))
        do("ceph", "auth", "import", "-i", keyring)
        uuid = Path("/proc/sys/kernel/random/uuid").read_text().strip()
        do("ceph", "osd", "new", uuid)
        do("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", uuid)
        start("ceph-osd", "-i", "0", ready=(folder / "osd.0.asok").exists)
        start("radosgw", "-n", "client.rgw", ready=lambda: listens(port))
        key = ("--access-key", S3_KEY, "--secret-key", S3_KEY)
        do("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=test", "--display-name=test", *key)
        yield f"127.0.0.1:{port}"


@contextmanager
def postgres_database(server: str, template: str = "template1") -> Iterator[tuple[str, str]]:
    """Name and SQLAlchemy URL of a new PostgreSQL database, a copy of another one."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield name, server.replace("postgresql:", "postgresql+psycopg:").removesuffix("postgres") + name
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def new_bucket(endpoint: str) -> dict[str, str]:
    """Endpoint, keys and a fresh bucket of a real S3 server."""
    bucket = f"test-{uuid.uuid4().hex}"
    Minio(endpoint, S3_KEY, S3_KEY, secure=False, region="us-east-1").make_bucket(bucket)
    return {
        "endpoint": endpoint,
        "access_key": S3_KEY,
        "secret_key": S3_KEY,
        "bucket": bucket,
        "region": "us-east-1",
    }
