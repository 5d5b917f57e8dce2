"""A structured report as a page of HTML or as text: its content tree (PS3.3 C.17.3) as nested lists."""

from collections.abc import Callable, Iterator, Mapping
from html import escape
from types import MappingProxyType
from typing import Any

from storage.pixels.attributes import Attributes, item, items, text, value, values

_CONTENT, _CONCEPT_NAME, _CODE_MEANING, _CODE_VALUE = "0040A730", "0040A043", "00080104", "00080100"
_STYLE = (
    "body{font:1rem/1.5 sans-serif;margin:2rem;max-width:60rem}"
    "ul{padding-left:1.2rem}li{white-space:pre-line}b{font-weight:600}"
)
_FACTS = {
    "Patient": "00100010",
    "Patient ID": "00100020",
    "Study date": "00080020",
    "Completion": "0040A491",
    "Verification": "0040A493",
}


def sr_html(header: Attributes) -> str:
    """The page for the DICOM JSON of an SR document; every text in it is escaped, nothing is loaded."""
    title = escape(_code(header, _CONCEPT_NAME) or "Structured report")
    facts = " · ".join(
        f"{name}: <b>{escape(_name(header, tag))}</b>" for name, tag in _FACTS.items() if tag in header
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><p>{facts}</p>{''.join(_tree(header))}</body></html>"
    )


def sr_text(header: Attributes) -> str:
    """The same as plain text, each level indented by two spaces."""
    facts = [f"{name}: {_name(header, tag)}" for name, tag in _FACTS.items() if tag in header]
    return "\n".join(
        [_code(header, _CONCEPT_NAME) or "Structured report", *facts, "", *_text_tree(header, 0)]
    )


def _text_tree(parent: Attributes, depth: int) -> Iterator[str]:
    for child in items(parent, _CONTENT):
        shown = ": ".join(each for each in (_code(child, _CONCEPT_NAME), _value(child)) if each)
        yield f"{'  ' * depth}- {shown}"
        yield from _text_tree(child, depth + 1)


def _tree(parent: Attributes) -> Iterator[str]:
    children = items(parent, _CONTENT)
    if children:
        yield "<ul>"
    for child in children:
        name, shown = escape(_code(child, _CONCEPT_NAME)), escape(_value(child))
        yield f"<li><b>{name}</b>{': ' if name and shown else ''}{shown}"
        yield from _tree(child)
        yield "</li>"
    if children:
        yield "</ul>"


def _value(content: Attributes) -> str:
    reference = values(content, "0040DB73")
    if reference:
        return "see item " + ".".join(str(each) for each in reference)
    show = _VALUES.get(text(content, "0040A040"))
    return show(content) if show else ""


def _code(content: Attributes, tag: str) -> str:
    code = item(content, tag)
    return text(code, _CODE_MEANING) or text(code, _CODE_VALUE)


def _name(content: Attributes, tag: str) -> str:
    found: Any = value(content, tag)
    found = found.get("Alphabetic") if isinstance(found, Mapping) else found
    return "" if found is None else str(found).replace("^", " ").strip()


def _measured(content: Attributes) -> str:
    measured = item(content, "0040A300")
    return f"{text(measured, '0040A30A')} {text(item(measured, '004008EA'), _CODE_VALUE)}".strip()


def _referenced(content: Attributes) -> str:
    return text(item(content, "00081199"), "00081155")


def _graphic(content: Attributes) -> str:
    points = ", ".join(
        f"{each:g}" if isinstance(each, float) else str(each) for each in values(content, "00700022")[:12]
    )
    return f"{text(content, '00700023')} ({points})"


_VALUES: Mapping[str, Callable[[Attributes], str]] = MappingProxyType(
    {
        "NUM": _measured,
        "CODE": lambda content: _code(content, "0040A168"),
        "PNAME": lambda content: _name(content, "0040A123"),
        "SCOORD": _graphic,
        "SCOORD3D": _graphic,
        "IMAGE": _referenced,
        "COMPOSITE": _referenced,
        "WAVEFORM": _referenced,
        "TEXT": lambda content: text(content, "0040A160"),
        "UIDREF": lambda content: text(content, "0040A124"),
        "DATE": lambda content: text(content, "0040A121"),
        "TIME": lambda content: text(content, "0040A122"),
        "DATETIME": lambda content: text(content, "0040A120"),
    }
)
"""Value type (PS3.3 table C.17.3-7) → its value in words."""
