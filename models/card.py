"""The card of a model package: what the model is, what it is for, what goes in and what comes out."""

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from models.errors import CardError
from models.external import ExternalCard
from models.schema.base import Table, Text
from models.schema.images import AppliesTo, Checks, Match, ModelFile
from models.schema.inputs import ImageInput, Input
from models.schema.outputs import Group, Guard, LabelMapOutput, MeasurementOutput, Output
from models.schema.running import Running
from models.schema.together import Misfit, check_inputs

CARD_FILE = "card.toml"


class QualityFloor(Table):
    """When a model must not go on by itself."""

    floor: Annotated[float, Field(gt=0, le=1)]
    """The share of findings on which people must agree with it."""
    min_count: Annotated[int, Field(ge=1)] = 20
    """So many findings must have been judged before the share counts."""


class Card(Table):
    """A `card.toml`, valid. Made by `load_card`, which also knows the folder it came from."""

    schema_number: Annotated[Literal[1], Field(alias="schema")]
    """Of these tables."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
    """Lower-case letters and digits, words joined by hyphens."""
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]+$", max_length=64)]
    title: Annotated[str, Field(min_length=1, max_length=64)]
    """What readers see above its findings; at most 64 characters."""
    manufacturer: Text = "Isocenter"
    """Who answers for the model; stands in its results."""
    task: Literal["classification", "detection", "segmentation", "measurement"]
    intended_use: Text
    """What the model is for, in words for a reader."""
    not_for: Annotated[tuple[Text, ...], Field(min_length=1)]
    """What it must not be used for; at least one."""
    licence: Text
    origin: Text
    """Where it comes from, and what it was made from."""

    model: ModelFile
    runtime: Running = Running()
    applies_to: AppliesTo
    checks: Checks = Checks()
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    guards: tuple[Guard, ...] = ()
    quality: QualityFloor | None = None

    _folder: Path = PrivateAttr(default=Path())
    _digest: str = PrivateAttr(default="")

    @property
    def folder(self) -> Path:
        """The package: the folder that holds the card and the ONNX file."""
        return self._folder

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the card's bytes."""
        return self._digest

    @property
    def model_path(self) -> Path:
        return self._folder / self.model.file

    @property
    def image(self) -> ImageInput:
        """The first image input: what the model finds lies on its images."""
        return self.images[0]

    @property
    def images(self) -> tuple[ImageInput, ...]:
        """The inputs that take pixels."""
        return tuple(item for item in self.inputs if isinstance(item, ImageInput))

    def rules_of(self, image: ImageInput) -> tuple[Match, ...]:
        """What images an input takes: they must keep all of these."""
        return (self.applies_to, *([image.match] if image.match else []))

    def checks_of(self, image: ImageInput) -> Checks:
        """What the images of an input must be like."""
        return image.checks or self.checks

    @property
    def input_names(self) -> set[str]:
        return {item.name for item in self.inputs}

    @property
    def output_names(self) -> set[str]:
        """Outputs of the graph that are read: results and guards."""
        values = (value for group in self.groups for value in group.values)
        named = {value.output for value in values if value.output is not None}
        return named | {item.name for item in self.outputs} | {guard.output for guard in self.guards}

    @property
    def groups(self) -> tuple[Group, ...]:
        """The measurement groups of all outputs."""
        measured = (output for output in self.outputs if isinstance(output, MeasurementOutput))
        return tuple(group for output in measured for group in output.groups)

    @field_validator("model")
    @classmethod
    def _inside(cls, model: ModelFile) -> ModelFile:
        path = PurePosixPath(model.file)
        if path.is_absolute() or ".." in path.parts or "\\" in model.file:
            raise ValueError("file must lie in the card's folder")
        return model

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _unique("inputs", [item.name for item in self.inputs])
        _unique("outputs", [item.name for item in self.outputs])
        check_inputs(self.inputs, self.applies_to, self.checks)
        if self.image.patch and any(not _is_score_map(output) for output in self.outputs):
            raise ValueError('inputs.patch goes with label maps of encoding "argmax" or "scores" only')
        self._check_segments()
        return self

    def _check_segments(self) -> None:
        maps = [output for output in self.outputs if isinstance(output, LabelMapOutput)]
        segments = [segment.name for output in maps for segment in output.segments]
        _unique("segments", segments)
        _unique("groups", [group.key for group in self.groups])
        for group in self.groups:
            if group.segment is not None and group.segment not in segments:
                raise ValueError(
                    f"group {group.key!r} measures segment {group.segment!r}, which is not declared"
                )


def _is_score_map(output: Output) -> bool:
    return isinstance(output, LabelMapOutput) and output.encoding != "labels"


def load_card(folder: Path) -> Card:
    """The card in `folder`, of a model that we carry out; raises as `load_package` does."""
    card = load_package(folder)
    if isinstance(card, ExternalCard):
        raise CardError(f'{folder / CARD_FILE}: {card.name} has runner = "external": there is nothing to run')
    return card


def load_package(folder: Path) -> Card | ExternalCard:
    """The card in `folder`; the ONNX file is not looked at (`onnx_file.check_model` does).

    Raises:
        CardError: no card, no TOML, or a key that is missing, unknown or wrong; the message names the file,
            the key and, where it can be found, the line.
    """
    path = folder / CARD_FILE
    data, values = _read(path)
    kind: type[Card | ExternalCard] = ExternalCard if values.get("runner") == "external" else Card
    try:
        card = kind.model_validate(values)
    except ValidationError as error:
        raise CardError("\n".join(_explained(path, data, error))) from None
    card._folder, card._digest = folder, hashlib.sha256(data).hexdigest()  # noqa: SLF001 - set by its maker, read-only for others
    return card


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        data = path.read_bytes()
        return data, tomllib.loads(data.decode())
    except OSError as error:
        raise CardError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: not TOML: {error}") from error


def _explained(path: Path, data: bytes, error: ValidationError) -> list[str]:
    lines = data.decode().splitlines()
    told = []
    problems = error.errors(include_url=False)
    for problem in problems:
        if problem["type"] == "too_short" and _has_inner(problem["loc"], problems):
            continue
        cause = problem.get("ctx", {}).get("error")
        inner = cause.location if isinstance(cause, Misfit) else ()
        location = [part for part in (*problem["loc"], *inner) if not _is_kind(part)]
        line = _line_of(lines, location)
        place = f"{path}:{line}" if line else str(path)
        key = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(
            "."
        )
        told.append(f"{place}: {key or 'card'}: {problem['msg'].removeprefix('Value error, ')}")
    return told


def _has_inner(location: tuple[str | int, ...], problems: Sequence[ErrorDetails]) -> bool:
    """Pydantic also calls a list too short when its items are wrong; the items are what to mend."""
    inner = (problem["loc"] for problem in problems)
    return any(len(other) > len(location) and other[: len(location)] == location for other in inner)


def _is_kind(part: str | int) -> bool:
    """Pydantic puts the chosen `kind` into the location; the author wrote no such key."""
    return part in {"image", "spacing", "presence", "scores", "label-map", "measurement", "points", "boxes"}


def _line_of(lines: Sequence[str], location: Sequence[str | int]) -> int | None:
    """The line (from 1) that sets the deepest part of `location`; a scan, good for what people write."""
    line, found = 0, None
    for position, part in enumerate(location):
        index = location[position + 1] if position + 1 < len(location) else 0
        path = ".".join(str(item) for item in location[: position + 1] if isinstance(item, str))
        if isinstance(part, int):
            continue
        place = _nth_header(lines, path, line, index if isinstance(index, int) else 0)
        if place is None:
            place = _key_after(lines, part, line)
        if place is not None:
            line = found = place
    return found


def _nth_header(lines: Sequence[str], path: str, start: int, index: int) -> int | None:
    pattern = re.compile(rf"\s*\[\[?\s*{re.escape(path)}\s*\]\]?")
    hits = [number for number, text in enumerate(lines, 1) if number > start and pattern.match(text)]
    return hits[index] if index < len(hits) else None


def _key_after(lines: Sequence[str], key: str, start: int) -> int | None:
    pattern = re.compile(rf"(^\s*|[{{,]\s*)\"?{re.escape(key)}\"?\s*=")
    for number, text in enumerate(lines[start:], start + 1):
        if number > start + 1 and text.lstrip().startswith("["):
            return None
        if pattern.search(text):
            return number
    return None


def _unique(what: str, names: Sequence[str]) -> None:
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise ValueError(f"{what} named twice: {', '.join(doubled)}")
