"""DICOM JSON (PS3.18 F) as XML of the Native DICOM Model (PS3.19 A.1)."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pydicom.datadict import keyword_for_tag

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

# XML 1.0 has no way to write these, not even as a reference.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_START = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
)
_END = "</NativeDicomModel>"
_PRIVATE = 0x10000
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF

DataSet = Mapping[str, Any]


def write_xml(data_set: DataSet) -> bytes:
    """The XML document of a data set.

    Args:
        data_set: a DICOM JSON object; big values may be addresses (`BulkDataURI`).
    """
    return "".join((_START, *_attributes(data_set), _END)).encode()


def _attributes(data_set: DataSet) -> Iterator[str]:
    for tag, attribute in data_set.items():
        number = int(tag, 16)
        if number & 0xFFFF == 0 or _is_creator(number):
            continue  # A.1.5: group lengths are left out; creators are named where they are needed
        yield f"<DicomAttribute {_place(tag, number, data_set)} vr={quoteattr(str(attribute['vr']))}>"
        yield from _content(attribute)
        yield "</DicomAttribute>"


def _is_creator(number: int) -> bool:
    return bool(number & _PRIVATE) and _FIRST_BLOCK <= number & 0xFFFF <= _LAST_BLOCK


def _place(tag: str, number: int, data_set: DataSet) -> str:
    """Tag and keyword; of a private attribute the tag without its block, and who reserved that."""
    if not number & _PRIVATE:
        return _public_place(tag)
    creator = data_set.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value") or [None]
    if not isinstance(creator[0], str):
        return f'tag="{tag}"'
    return f'tag="{tag[:4]}00{tag[6:]}" privateCreator={quoteattr(_written(creator[0]))}'


@lru_cache(maxsize=8192)
def _public_place(tag: str) -> str:
    keyword = keyword_for_tag(int(tag, 16))
    return f'tag="{tag}" keyword="{keyword}"' if keyword else f'tag="{tag}"'


def _content(attribute: Mapping[str, Any]) -> Iterator[str]:
    if "BulkDataURI" in attribute:
        yield f"<BulkData uri={quoteattr(_written(str(attribute['BulkDataURI'])))}/>"
    elif "InlineBinary" in attribute:
        yield f"<InlineBinary>{_text(attribute['InlineBinary'])}</InlineBinary>"
    else:
        for place, value in enumerate(attribute.get("Value") or (), 1):
            yield from _value(place, value, str(attribute["vr"]))


def _value(place: int, value: Any, vr: str) -> Iterator[str]:
    if vr == "SQ":
        yield f'<Item number="{place}">'
        yield from _attributes(value or {})
        yield "</Item>"
    elif vr == "PN":
        yield f'<PersonName number="{place}">'
        yield from _name(value if isinstance(value, Mapping) else {"Alphabetic": value or ""})
        yield "</PersonName>"
    else:
        yield f'<Value number="{place}">{"" if value is None else _text(value)}</Value>'


def _name(name: Mapping[str, Any]) -> Iterator[str]:
    for group in NAME_GROUPS:
        if name.get(group):
            yield f"<{group}>"
            for element, part in zip(NAME_PARTS, str(name[group]).split("^"), strict=False):
                if part:
                    yield f"<{element}>{_text(part)}</{element}>"
            yield f"</{group}>"


def _written(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)


def _text(value: Any) -> str:
    # A bare carriage return would be read as a line feed (XML 1.0, 2.11).
    return escape(_written(str(value)), {"\r": "&#13;"})
