"""Putting model packages into an installation, and taking them out of it again."""

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from models.card import CARD_FILE, Card, load_card
from models.errors import CardError
from models.onnx_file import check_model

MAX_FILES = 1000
MAX_BYTES = 16 * 1024**3
"""Of a package, unpacked."""


def add_package(source: Path, folder: Path) -> Card:
    """Check the package in `source` and copy it to `folder`/<name>/<version>, all of it or nothing.

    Args:
        source: a folder with a card, or a .zip or .tar file (compressed or not) of one.
        folder: of the installed packages; made when it is not there.

    Returns:
        The card of the installed package. A package that is there already, equal, is left as it is.

    Raises:
        CardError: no package, or another one of this name and version is there.
        ModelError: the ONNX file is not the pinned one, or not fit to be run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=folder) as temporary, _unpacked(source) as found:
        copy = Path(temporary) / "package"
        _copy(_package_in(found, source), copy)
        card = load_card(copy)
        check_model(card)
        place = folder / card.name / card.version
        if place.exists():
            _check_same(load_card(place), card)
        else:
            place.parent.mkdir(exist_ok=True)
            copy.rename(place)
    return load_card(place)


def remove_package(card: Card, folder: Path) -> None:
    """Delete an installed package.

    Raises:
        CardError: the package is none of `folder`: it came another way and must go that way.
    """
    if not card.folder.is_relative_to(folder):
        raise CardError(f"{card.name} {card.version} was not added: it is part of {card.folder.parent}")
    shutil.rmtree(card.folder)
    if not any(card.folder.parent.iterdir()):
        card.folder.parent.rmdir()


def _check_same(installed: Card, card: Card) -> None:
    if installed.digest != card.digest:
        raise CardError(
            f"{card.name} {card.version} is there already with another card: give the new one another version"
        )


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="isocenter-package-") as temporary:
        folder = Path(temporary)
        try:
            if zipfile.is_zipfile(source):
                _unzip(source, folder)
            elif tarfile.is_tarfile(source):
                _untar(source, folder)
            else:
                raise CardError(f"{source}: is neither a folder nor a .zip or .tar file")
        except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            raise CardError(f"{source}: cannot be unpacked: {error}") from error
        yield folder


def _unzip(source: Path, folder: Path) -> None:
    with zipfile.ZipFile(source) as file:
        members = file.infolist()
        _check_amount(source, len(members), sum(member.file_size for member in members))
        for member in members:
            _check_name(source, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise CardError(f"{source}: {member.filename} is a symbolic link")
        file.extractall(folder)  # noqa: S202 - names, links and sizes were checked, and zipfile keeps to the sizes


def _untar(source: Path, folder: Path) -> None:
    with tarfile.open(source) as file:
        members = []
        total = 0
        # One by one: a compressed archive is not read to its end before its limits are known.
        for member in file:
            members.append(member)
            total += member.size
            _check_amount(source, len(members), total)
            _check_name(source, member.name)
            if not (member.isfile() or member.isdir()):
                raise CardError(f"{source}: {member.name} is neither a file nor a folder")
        file.extractall(folder, members, filter="data")


def _check_amount(source: Path, files: int, size: int) -> None:
    if files > MAX_FILES or size > MAX_BYTES:
        raise CardError(
            f"{source}: more than {MAX_FILES} files or {MAX_BYTES} bytes: this is no model package"
        )


def _check_name(source: Path, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise CardError(f"{source}: {name!r} lies outside the package")


def _package_in(folder: Path, source: Path) -> Path:
    """The folder with the card: the top one or the only one below it."""
    if (folder / CARD_FILE).is_file():
        return folder
    found = [path.parent for path in folder.glob(f"*/{CARD_FILE}")]
    if len(found) != 1:
        raise CardError(f"{source}: {len(found) or 'no'} folders with a {CARD_FILE}, one is needed")
    return found[0]


def _copy(source: Path, target: Path) -> None:
    """Regular files only: a link may point to what is not there on the machine that runs the model."""
    files = [path for path in sorted(source.rglob("*")) if not path.is_dir()]
    _check_amount(source, len(files), sum(path.stat(follow_symlinks=False).st_size for path in files))
    for path in files:
        if path.is_symlink():
            raise CardError(f"{path}: is a symbolic link")
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        with place.open("rb") as file:
            os.fsync(file.fileno())
