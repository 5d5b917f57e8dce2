"""The models that are there: every package in some folders, with a reason for each that cannot be used."""

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.card import CARD_FILE, Card, load_package
from models.errors import CardError, ModelsError
from models.external import ExternalCard
from models.onnx_file import check_model

PACKAGED = Path(__file__).parent / "cards"
"""The models that come with Isocenter."""

_Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change (ns) and size of a package's files: what tells that it was changed."""
_Package = Card | ExternalCard


@dataclass(frozen=True, slots=True)
class BrokenPackage:
    """A folder with a card that cannot be used, and why."""

    folder: Path
    reason: str


class Catalog:
    """All usable models of some folders, in all their versions.

    A folder is a package itself (it holds a card), or holds packages, or folders of packages: one for each
    version. Packages that are added, changed or taken away are noticed at the next question; a package is
    read and its ONNX file checked when it is new or changed. One broken package does not hide the others.
    Where two packages have the same name and version, the one found first counts and the other is broken.
    """

    def __init__(self, folders: Sequence[Path] = (PACKAGED,)) -> None:
        self._folders = tuple(folders)
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[_Stamp, _Package | str]] = {}

    def versions(self) -> list[Card]:
        """Every usable package in order of name and version; the version found in a later folder is later."""
        return [card for card in self._looked()[0] if isinstance(card, Card)]

    def broken(self) -> list[BrokenPackage]:
        """The packages that cannot be used."""
        return self._looked()[1]

    def cards(self) -> list[Card]:
        """The latest version of each model, in order of their names."""
        return list({card.name: card for card in self.versions()}.values())

    def external(self) -> list[ExternalCard]:
        """The models that are carried out elsewhere, the latest version of each, in order of their names."""
        cards = (card for card in self._looked()[0] if isinstance(card, ExternalCard))
        return list({card.name: card for card in cards}.values())

    def get(self, name: str, version: str | None = None) -> Card:
        """The model called `name`: this version of it, or the latest.

        Raises:
            CardError: there is none, or its package is broken; the message says which.
        """
        cards, broken = self._looked()
        fitting = [card for card in cards if card.name == name and version in {None, card.version}]
        if fitting and isinstance(fitting[-1], Card):
            return fitting[-1]
        if fitting:
            raise CardError(f"{name} is carried out elsewhere: there is nothing to run here")
        reasons = [each.reason for each in broken if name in {each.folder.name, each.folder.parent.name}]
        wanted = name if version is None else f"{name} {version}"
        raise CardError(reasons[0] if reasons else f"no model is called {wanted!r}")

    def _looked(self) -> tuple[list[_Package], list[BrokenPackage]]:
        with self._lock:
            before, self._read = self._read, {}
            cards: dict[tuple[str, str], _Package] = {}
            broken: list[BrokenPackage] = []
            for package in (package for folder in self._folders for package in packages(folder)):
                card = self._known(package, before)
                reason = card if isinstance(card, str) else _taken(card, cards)
                if isinstance(card, str) or reason:
                    broken.append(BrokenPackage(package, str(reason)))
                else:
                    cards[card.name, card.version] = card
        # Sorting is stable: versions stay in the order in which they were found.
        return sorted(cards.values(), key=lambda card: card.name), broken

    def _known(self, package: Path, before: dict[Path, tuple[_Stamp, _Package | str]]) -> _Package | str:
        """The card, or why the package cannot be used."""
        stamp = _stamp(package)
        known = before.get(package)
        found = known[1] if known and known[0] == stamp else _checked(package)
        self._read[package] = stamp, found
        return found


def packages(folder: Path) -> list[Path]:
    """The packages in a folder, those of one model in ascending order of their versions' folders."""
    if (folder / CARD_FILE).is_file():
        return [folder]
    found = (path.parent for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/{CARD_FILE}"))
    return sorted(found, key=lambda path: [_natural(part) for part in path.relative_to(folder).parts])


def _natural(text: str) -> list[tuple[int, str]]:
    """1.10 comes after 1.9."""
    return [(int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


def _stamp(package: Path) -> _Stamp:
    return tuple(sorted(_file_stamps(package)))


def _file_stamps(package: Path) -> Iterator[tuple[str, int, int]]:
    for path in package.iterdir():
        if path.is_file():
            stat = path.stat()
            yield path.name, stat.st_mtime_ns, stat.st_size


def _checked(package: Path) -> _Package | str:
    try:
        card = load_package(package)
        if isinstance(card, Card):
            check_model(card)
    except ModelsError as error:
        return str(error)
    return card


def _taken(card: _Package, cards: dict[tuple[str, str], _Package]) -> str:
    other = cards.get((card.name, card.version))
    if other is None:
        return ""
    return f"{card.folder / CARD_FILE}: {card.name} {card.version} is taken by {other.folder}"
