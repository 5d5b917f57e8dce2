"""The models that are there: every package in some folders, with a reason for each that cannot be used."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.card import CARD_FILE, Card, load_card
from models.errors import CardError, ModelsError
from models.onnx_file import check_model

PACKAGED = Path(__file__).parent / "cards"
"""The models that come with Isocenter."""


@dataclass(frozen=True, slots=True)
class BrokenPackage:
    """A folder with a card that cannot be used, and why."""

    folder: Path
    reason: str


class Catalog:
    """All usable models of some folders.

    A folder is a package itself (it holds a card) or holds packages. Cards are read and ONNX files checked at
    the first question and after `reload`; one broken package does not hide the others. Where two packages
    have the same name, the one found first counts and the other is reported as broken.
    """

    def __init__(self, folders: Sequence[Path] = (PACKAGED,), disabled: Collection[str] = ()) -> None:
        self._folders = tuple(folders)
        self._disabled = frozenset(disabled)
        self._lock = threading.Lock()
        self._cards: dict[str, Card] | None = None
        self._broken: list[BrokenPackage] = []

    def cards(self) -> list[Card]:
        """The usable models in order of their names, without the disabled ones."""
        with self._lock:
            cards = (card for card in self._loaded().values() if card.name not in self._disabled)
            return sorted(cards, key=lambda card: card.name)

    def broken(self) -> list[BrokenPackage]:
        """The packages that cannot be used."""
        with self._lock:
            self._loaded()
            return list(self._broken)

    def get(self, name: str) -> Card:
        """The model called `name`.

        Raises:
            CardError: there is none, or its package is broken; the message says which.
        """
        with self._lock:
            card = self._loaded().get(name)
            if card is not None:
                return card
            reasons = [broken.reason for broken in self._broken if broken.folder.name == name]
        raise CardError(reasons[0] if reasons else f"no model is called {name!r}")

    def reload(self) -> None:
        """Look at the folders again at the next question."""
        with self._lock:
            self._cards = None

    def _loaded(self) -> dict[str, Card]:
        if self._cards is None:
            self._cards, self._broken = {}, []
            for folder in self._folders:
                for package in _packages(folder):
                    self._add(self._cards, package)
        return self._cards

    def _add(self, cards: dict[str, Card], package: Path) -> None:
        try:
            card = load_card(package)
            if card.name in cards:
                raise CardError(f"{package / CARD_FILE}: {card.name!r} is taken by {cards[card.name].folder}")
            check_model(card)
        except ModelsError as error:
            self._broken.append(BrokenPackage(package, str(error)))
        else:
            cards[card.name] = card


def _packages(folder: Path) -> list[Path]:
    if (folder / CARD_FILE).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{CARD_FILE}"))
