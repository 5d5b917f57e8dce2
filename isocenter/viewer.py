"""Installs the OHIF viewer: from npm's registry, a package file or a folder, prepared to be served here."""

import gzip
import hashlib
import re
import shutil
import subprocess
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from webui.viewer import PREFIX

PACKAGE = "@ohif/app"
VERSION = "3.13.2"
INTEGRITY = "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""Of the package file of `VERSION`, as the registry gives it."""

_MOST_BYTES = 1 << 30
_WORTH_BYTES = 1024
_COMPRESSED = {".css", ".js", ".json", ".svg", ".wasm"}
_LEFT_OUT = {".map"}
_PUBLIC_PATH = re.compile(rb'(__webpack_require__\.p = )"(/[^"]*)"')
_ATTRIBUTE = re.compile(rb'((?:href|src|content|window\.PUBLIC_URL)=")/')
_STYLE_URL = re.compile(rb"""(url\(["']?)/(?=[^/])""")


class ViewerNotInstalled(Exception):
    """npm or the package is missing, damaged or of another kind; the message says which."""


@contextmanager
def package_of_registry(version: str) -> Iterator[Path]:
    """The package file, as npm fetches it from the registry that it is configured for, checked by its digest.

    Raises:
        ViewerNotInstalled: npm is missing or could not get it, or its bytes are not those of the version.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ViewerNotInstalled(
            f"there is no npm here; run `npm pack {PACKAGE}@{version}` where there is one, "
            "and give the file with --from"
        )
    with TemporaryDirectory(prefix="isocenter-viewer-") as folder:
        command = [npm, "pack", "--silent", f"--pack-destination={folder}", f"{PACKAGE}@{version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        found = [*Path(folder).glob("*.tgz")]
        if done.returncode or len(found) != 1:
            raise ViewerNotInstalled(f"npm pack {PACKAGE}@{version}: {done.stderr.strip()[-2000:]}")
        if version == VERSION:
            check(found[0])
        yield found[0]


def check(package: Path, integrity: str = INTEGRITY) -> None:
    """Compare the SHA-512 of a package file; raises `ViewerNotInstalled`."""
    with package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if f"sha512-{b64encode(digest).decode()}" != integrity:
        raise ViewerNotInstalled(f"{package.name} has other bytes than {PACKAGE} {VERSION}")


def install(source: Path, target: Path) -> int:
    """Put the viewer in `target`, in place of one that is there; how many files.

    Args:
        source: a package file (.tgz), or a folder with the built pages or a `dist` with them.
        target: replaced as a whole, when all else has been done.

    Raises:
        ViewerNotInstalled: these are not the built pages of OHIF.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        pages = Path(folder) / "pages"
        _copy(source, Path(folder), pages)
        _adapt(pages)
        count = sum(_compress(path) for path in sorted(pages.rglob("*")) if path.is_file())
        if target.exists():
            target.rename(Path(folder) / "before")
        pages.rename(target)
    return count


def _copy(source: Path, folder: Path, pages: Path) -> None:
    if source.is_dir():
        built = source if (source / "index.html").is_file() else source / "dist"
        if not (built / "index.html").is_file():
            raise ViewerNotInstalled(f"{source}: there is no index.html in it, nor in its dist")
        shutil.copytree(built, pages, ignore=shutil.ignore_patterns(*(f"*{each}" for each in _LEFT_OUT)))
        return
    try:
        _unpack(source, folder / "unpacked")
        (folder / "unpacked" / "package" / "dist").rename(pages)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ViewerNotInstalled(f"{source}: not a package of {PACKAGE}: {error}") from None


def _unpack(package: Path, folder: Path) -> None:
    size = 0
    with tarfile.open(package, "r:gz") as archive:
        for member in archive:
            name = Path(member.name)
            if name.parts[:2] != ("package", "dist") or name.suffix in _LEFT_OUT:
                continue
            size += member.size
            if size > _MOST_BYTES:
                raise ViewerNotInstalled(f"{package}: unpacks to more than {_MOST_BYTES} bytes")
            archive.extract(member, folder, filter="data")


def _adapt(pages: Path) -> None:
    """Let the pages find their files below `PREFIX`: they are built for the root of a server."""
    prefix = f"{PREFIX}/".encode()
    found = 0
    for script in pages.glob("*.js"):
        content, count = _PUBLIC_PATH.subn(rb'\1"' + prefix + b'"', script.read_bytes())
        if count:
            script.write_bytes(content)
            found += count
    if not found:
        raise ViewerNotInstalled("not OHIF, or too new: no script says where it is served from")
    page = pages / "index.html"
    page.write_bytes(_ATTRIBUTE.sub(rb"\1" + prefix, page.read_bytes()))
    for style in pages.glob("*.css"):
        style.write_bytes(_STYLE_URL.sub(rb"\1" + prefix, style.read_bytes()))


def _compress(path: Path) -> int:
    if path.suffix in _COMPRESSED and path.stat().st_size > _WORTH_BYTES:
        with path.open("rb") as source, gzip.open(f"{path}.gz", "wb", compresslevel=6) as packed:
            shutil.copyfileobj(source, packed)
    return 1
