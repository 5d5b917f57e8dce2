"""Codes of a card as codes of a result."""

from inference.findings import Code
from models.schema.base import CodeValue


def code(value: CodeValue) -> Code:
    return Code(value.value, value.scheme, value.meaning)


def optional_code(value: CodeValue | None) -> Code | None:
    return None if value is None else code(value)
