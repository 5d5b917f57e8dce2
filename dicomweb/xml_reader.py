"""XML of the Native DICOM Model (PS3.19 A.1) as DICOM JSON (PS3.18 F), from senders that are not trusted."""

import re
from collections.abc import Iterator
from typing import Any, NoReturn
from xml.etree.ElementTree import (
    Element,
    ParseError,
    TreeBuilder,
    XMLParser,
)

from dicomweb.problems import BadRequest
from dicomweb.xml import NAME_GROUPS, NAME_PARTS
from storage.walker import MAX_DEPTH

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_SLACK = 16
"""Values that may be left out of an attribute of few; of others as many as are there."""
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF


class _Builder(TreeBuilder):
    def doctype(self, *_: object) -> NoReturn:
        raise BadRequest("DICOM XML with a document type declaration is not read")


def read_xml(data: bytes) -> dict[str, Any]:
    """The DICOM JSON object that says the same; all values but items and names are text.

    Raises:
        BadRequest: it is no well-formed XML, or not of this model.
    """
    parser = XMLParser(target=_Builder())  # noqa: S314 - a document type, which entities need, is refused
    try:
        parser.feed(data)
        root = parser.close()
    except (ParseError, ValueError, LookupError) as error:  # the others: encodings that Python does not know
        raise BadRequest(f"the metadata is no well-formed XML: {error}") from error
    if not isinstance(root, Element) or _name(root) != "NativeDicomModel":
        raise BadRequest("the XML is no NativeDicomModel")
    return _data_set(root, 0)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _data_set(parent: Element, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise BadRequest(f"the XML has sequences more than {MAX_DEPTH} deep")
    attributes: dict[str, Any] = {}
    private: list[tuple[str, str, dict[str, Any]]] = []
    for element in parent:
        if _name(element) != "DicomAttribute":
            raise BadRequest(f"<{_name(element)[:40]}> in the place of a DicomAttribute")
        tag, creator = element.get("tag", ""), element.get("privateCreator")
        if not _TAG.fullmatch(tag):
            raise BadRequest(f"a DicomAttribute has the tag {tag[:40]!r}")
        content = {"vr": element.get("vr", "")} | _content(element, depth)
        if creator is None:
            attributes[tag.upper()] = content
        else:
            private.append((tag.upper(), creator, content))
    for tag, creator, content in private:
        attributes[_reserved(attributes, tag, creator)] = content
    return attributes


def _reserved(attributes: dict[str, Any], tag: str, creator: str) -> str:
    """The tag within the block of `creator`, which is reserved where it is not yet (PS3.5 7.8.1)."""
    for block in range(_FIRST_BLOCK, _LAST_BLOCK + 1):
        owner = attributes.setdefault(f"{tag[:4]}00{block:02X}", {"vr": "LO", "Value": [creator]})
        if owner.get("Value") == [creator]:
            return f"{tag[:4]}{block:02X}{tag[6:]}"
    raise BadRequest(f"group {tag[:4]} has no room for another private creator")


def _content(element: Element, depth: int) -> dict[str, Any]:
    first = next(iter(element), None)
    if first is None:
        return {}
    if _name(first) == "BulkData":
        return {"BulkDataURI": first.get("uri") or first.get("uuid") or ""}
    if _name(first) == "InlineBinary":
        return {"InlineBinary": "".join((first.text or "").split())}
    if any(_name(each) != _name(first) for each in element):
        raise BadRequest(f"attribute {element.get('tag')} mixes values of several kinds")
    return {"Value": list(_in_order(element, depth))}


def _in_order(element: Element, depth: int) -> Iterator[Any]:
    """The values by their numbers; those that are left out are empty."""
    found = {_number(each): each for each in element}
    if max(found) > 2 * len(found) + _SLACK or min(found) < 1:
        raise BadRequest(f"the values of attribute {element.get('tag')} are not numbered from 1")
    for number in range(1, max(found) + 1):
        yield _value(found[number], depth) if number in found else None


def _number(element: Element) -> int:
    number = element.get("number", "1")
    if not (number.isascii() and number.isdigit() and len(number) < 10):  # noqa: PLR2004 - digits
        raise BadRequest(f"a {_name(element)[:40]} has the number {number[:40]!r}")
    return int(number)


def _value(element: Element, depth: int) -> Any:
    kind = _name(element)
    if kind == "Item":
        return _data_set(element, depth + 1)
    if kind == "PersonName":
        return {_name(each): _person(each) for each in element if _name(each) in NAME_GROUPS} or None
    if kind == "Value":
        return element.text
    raise BadRequest(f"<{kind[:40]}> in the place of a value")


def _person(group: Element) -> str:
    parts = {_name(each): each.text or "" for each in group}
    return "^".join(parts.get(name, "") for name in NAME_PARTS).rstrip("^")
