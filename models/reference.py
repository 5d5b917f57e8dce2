"""The reference of `card.toml` for people, made from the tables themselves: `python -m models.reference`."""

import sys
from collections.abc import Iterator
from inspect import cleandoc
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from models.card import Card, QualityFloor
from models.external import ExternalCard
from models.schema.base import CodeValue, Table
from models.schema.images import AppliesTo, AttributeRule, Checks, Match, ModelFile
from models.schema.inputs import ImageInput, Patch, PresenceInput, Resize, SpacingInput, Window
from models.schema.outputs import (
    BoxClass,
    BoxesOutput,
    Group,
    Guard,
    Label,
    LabelMapOutput,
    MeasurementOutput,
    PointsOutput,
    ScoresOutput,
    SegmentOf,
    Value,
)
from models.schema.running import Running

TABLES: tuple[tuple[str, type[Table]], ...] = (
    ("The card itself", Card),
    ("`[model]`", ModelFile),
    ("`[runtime]`", Running),
    ("`[applies_to]`", AppliesTo),
    ("`[[applies_to.attributes]]`", AttributeRule),
    ("`[checks]`", Checks),
    ('`[[inputs]]`, kind = "image"', ImageInput),
    ("`[inputs.match]`", Match),
    ("`[inputs.window]`", Window),
    ("`[inputs.resize]`", Resize),
    ("`[inputs.patch]`", Patch),
    ('`[[inputs]]`, kind = "spacing"', SpacingInput),
    ('`[[inputs]]`, kind = "presence"', PresenceInput),
    ('`[[outputs]]`, kind = "scores"', ScoresOutput),
    ("`[[outputs.labels]]`", Label),
    ('`[[outputs]]`, kind = "label-map"', LabelMapOutput),
    ("`[[outputs.segments]]`", SegmentOf),
    ('`[[outputs]]`, kind = "measurement"', MeasurementOutput),
    ("`[[outputs.groups]]`", Group),
    ("`[[outputs.groups.values]]`", Value),
    ('`[[outputs]]`, kind = "points"', PointsOutput),
    ('`[[outputs]]`, kind = "boxes"', BoxesOutput),
    ("`[[outputs.classes]]`", BoxClass),
    ("`[[guards]]`", Guard),
    ("`[quality]`", QualityFloor),
    ('A card with runner = "external"', ExternalCard),
    ("Codes", CodeValue),
)
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def reference() -> str:
    """Markdown: a section for each table of a card, with its keys, types, defaults and meanings."""
    return "\n".join(line for title, table in TABLES for line in _section(title, table))


def _section(title: str, table: type[Table]) -> Iterator[str]:
    yield from (f"### {title}", "", *cleandoc(table.__doc__ or "").splitlines(), "")
    yield from ("| key | value | default | meaning |", "|---|---|---|---|")
    for name, field in table.model_fields.items():
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        yield f"| `{field.alias or name}` | {_type(field.annotation)} | {_default(field)} | {meaning} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.default
    if value is PydanticUndefined or value is None or value in ((), {}, ""):
        return ""
    if isinstance(value, CodeValue):
        return f"{value.meaning} ({value.value}, {value.scheme})"
    if isinstance(value, Table):
        return "as below"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind) if value != "")
    if getattr(kind, "__metadata__", None):
        return _type(kind.__origin__)
    if kind in _NAMES:
        return _NAMES[kind]
    if isinstance(kind, type) and issubclass(kind, CodeValue):
        return "code"
    if isinstance(kind, type) and issubclass(kind, Table):
        return "table"
    return _composed(kind)


def _composed(kind: Any) -> str:
    inner = [each for each in get_args(kind) if each not in {NoneType, Ellipsis}]
    if get_origin(kind) is dict:
        return f"{_type(inner[0])} → {_type(inner[1])}"
    if get_origin(kind) is tuple:
        many = "list of" if Ellipsis in get_args(kind) else f"{len(inner)} of"
        return f"{many} {_type(inner[0])}"
    return " or ".join(dict.fromkeys(text for each in inner if (text := _type(each))))


if __name__ == "__main__":
    sys.stdout.write(reference())
