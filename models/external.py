"""The card of a model that is carried out elsewhere, by an engine that claims its work."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from models.schema.base import Table, Text
from models.schema.images import AppliesTo


class ExternalCard(Table):
    """A `card.toml` with `runner = "external"`, valid: work for it waits until an engine claims it."""

    schema_number: Annotated[Literal[1], Field(alias="schema")]
    runner: Literal["external"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]+$", max_length=64)]
    title: Annotated[str, Field(min_length=1, max_length=64)]
    manufacturer: Text
    intended_use: Text
    not_for: Annotated[tuple[Text, ...], Field(min_length=1)]
    applies_to: AppliesTo

    _folder: Path = PrivateAttr(default=Path())
    _digest: str = PrivateAttr(default="")

    @property
    def folder(self) -> Path:
        """The folder that holds the card."""
        return self._folder

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the card's bytes."""
        return self._digest
