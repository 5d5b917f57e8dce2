"""Runs the parts as processes of their own and starts again what dies.

A part is `isocenter node|web|worker|scheduler --supervised`: it prints one line `ready …` when it serves,
stops gracefully on SIGTERM, and stops by itself when the pipe to its supervisor closes, so that nothing
outlives a kill -9.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

log = logging.getLogger(__name__)

START_SECONDS = 120.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 30.0


class PartFailed(Exception):
    """A part ended before it was ready; it has said why on standard error."""


class Part:
    """One supervised process."""

    def __init__(
        self, name: str, environment: Mapping[str, str], listening: socket.socket | None = None
    ) -> None:
        self.name = name
        self.environment = dict(environment)
        self._inherits = (listening.fileno(),) if listening else ()
        self.facts: dict[str, str] = {}
        """What the part said when it was ready, e.g. `{"dicom": "127.0.0.1:11112"}`."""
        self.restarts = 0
        self._heard = threading.Event()
        self._serves = False
        self._started = 0.0
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _start(self) -> subprocess.Popen[str]:
        self._heard.clear()
        self._started = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "isocenter", self.name, "--supervised"),
                *(f"--listening={number}" for number in self._inherits),
            ],
            pass_fds=self._inherits,
            env={**os.environ, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the parts in order
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101 - Popen was asked for a pipe
        with process.stdout as lines:
            for line in lines:
                if line.startswith("ready"):
                    self.facts = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
                    self._serves = True
                    self._heard.set()
        self._heard.set()

    def wait_ready(self) -> None:
        """Return when the part serves.

        Raises:
            PartFailed: it ended, or took longer than `START_SECONDS`.
        """
        if not self._heard.wait(START_SECONDS):
            raise PartFailed(f"{self.name} was not ready after {START_SECONDS:.0f} s")
        if not self._serves:
            raise PartFailed(f"{self.name} ended with exit code {self._process.wait()}")

    def start_again_if_dead(self) -> None:
        """Replace a process that has ended; the pause before it grows while it keeps dying young."""
        if self._process.poll() is None:
            return
        if time.monotonic() - self._started > STEADY_SECONDS:
            self.restarts = 0
        pause = min(FIRST_PAUSE * 2**self.restarts, LONGEST_PAUSE)
        self.restarts += 1
        log.warning(
            "%s ended with exit code %s; starting it again in %.1f s",
            self.name,
            self._process.returncode,
            pause,
        )
        time.sleep(pause)
        self._close_pipe()
        self._process = self._start()

    def read_again(self) -> None:
        """SIGHUP: what can follow changed settings does."""
        self._process.send_signal(signal.SIGHUP)

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def stop(self, grace: float) -> None:
        """Wait for one that was told to stop; SIGKILL when it is still there after `grace` seconds."""
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop within %.0f s and is killed", self.name, grace)
            self._process.kill()
            self._process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 - Popen was asked for a pipe
        self._process.stdin.close()


class Supervisor:
    """The parts of one machine, in the order in which they start and stop: intake first."""

    def __init__(
        self, names: Sequence[str], environment: Mapping[str, str], listening: socket.socket | None = None
    ) -> None:
        """Start nothing yet.

        Args:
            names: of the parts; one may be there several times.
            environment: variables that they have beside those of this process.
            listening: a socket that all of them listen on, in place of one of their own.
        """
        self.names = names
        self._environment = environment
        self._listening = listening
        self.parts: list[Part] = []

    def start(self) -> dict[str, str]:
        """Start every part; what they said of themselves.

        Raises:
            PartFailed: one did not come up; all are stopped again.
        """
        self.parts = [Part(name, self._environment, self._listening) for name in self.names]
        try:
            for part in self.parts:
                part.wait_ready()
        except PartFailed:
            self.stop(grace=2)
            raise
        self._keep_ports()
        return {key: value for part in self.parts for key, value in part.facts.items()}

    def _keep_ports(self) -> None:
        """A part that dies comes back on the port its peers know, also where port 0 chose it."""
        for part in self.parts:
            for fact, variable in (("dicom", "ISOCENTER_NODE__PORT"), ("http", "ISOCENTER_WEB__PORT")):
                if fact in part.facts:
                    part.environment[variable] = part.facts[fact].rpartition(":")[2].rstrip("/")

    def read_again(self) -> None:
        """Tell the parts that can follow changed settings while they run."""
        for part in self.parts:
            if part.name == "node":
                part.read_again()

    def watch(self, stopped: Callable[[], bool], interval: float = 0.2) -> None:
        """Start again what dies, until `stopped()`."""
        while not stopped():
            for part in self.parts:
                part.start_again_if_dead()
            time.sleep(interval)

    def stop(self, grace: float = 15) -> None:
        """Stop every part, finishing what was acknowledged; those of one name together."""
        for _, group in groupby(self.parts, lambda part: part.name):
            alike = list(group)
            for part in alike:
                part.tell_to_stop()
            for part in alike:
                part.stop(grace)
