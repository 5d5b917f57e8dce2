"""Data sets as bytes: Explicit VR Little Endian (PS3.5 7.1.2), quickly for what results consist of."""

import struct
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element

_MOMENTS = frozenset({"DA", "DT", "TM"})
_SHORT = struct.Struct("<HH2sH").pack
_LONG = struct.Struct("<HH2sHI").pack
_ITEM = struct.Struct("<HHI").pack


def data_set_bytes(ds: Dataset) -> bytes:
    """The elements of `ds` in the order of their tags, sequences and items with their lengths.

    The bytes are those that pydicom writes, in a fifth of its time. Text is in UTF-8 (ISO_IR 192).
    """
    return b"".join(_element(element, ds) for element in ds)


def _element(element: DataElement, ds: Dataset) -> bytes:
    how = _BY_VR.get(element.VR)
    if how is None or (element.VR in _MOMENTS and not isinstance(element.value, (str, NoneType))):
        return _as_pydicom_does(element, ds)
    return how(element)


def _as_pydicom_does(element: DataElement, ds: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_data_element(buffer, correct_ambiguous_vr_element(element, ds, is_little_endian=True), ["utf-8"])
    return bytes(buffer.getvalue())


def _sequence(element: DataElement) -> bytes:
    items = [data_set_bytes(item) for item in element.value]
    value = b"".join(piece for item in items for piece in (_ITEM(0xFFFE, 0xE000, len(item)), item))
    return _LONG(element.tag.group, element.tag.elem, b"SQ", 0, len(value)) + value


def _short(element: DataElement, value: bytes) -> bytes:
    tag = element.tag
    return _SHORT(tag >> 16, tag & 0xFFFF, element.VR.encode(), len(value)) + value


def _text(element: DataElement) -> bytes:
    return _short(element, _even(_joined(element.value).encode(), b" "))


def _long_text(element: DataElement) -> bytes:
    value = _even(_joined(element.value).encode(), b" ")
    return _LONG(element.tag >> 16, element.tag & 0xFFFF, element.VR.encode(), 0, len(value)) + value


def _uid(element: DataElement) -> bytes:
    return _short(element, _even(_joined(element.value).encode(), b"\0"))


def _number(element: DataElement) -> bytes:
    """A decimal or integer string as it was written, where it was."""
    value = element.value
    if value is None or isinstance(value, str):
        texts = [value or ""]
    else:
        texts = [getattr(each, "original_string", None) or str(each) for each in _all(value)]
    return _short(element, _even("\\".join(texts).encode(), b" "))


def _packed(form: str) -> Callable[[DataElement], bytes]:
    def packed(element: DataElement) -> bytes:
        values = _all(element.value)
        return _short(element, struct.pack(f"<{len(values)}{form}", *values))

    return packed


def _all(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, (int, float)) else list(value)


def _joined(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return "\\".join(map(str, value))


def _even(value: bytes, pad: bytes) -> bytes:
    return value + pad if len(value) % 2 else value


_BY_VR: Mapping[str, Callable[[DataElement], bytes]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM"), _text),
    "UT": _long_text,
    "UI": _uid,
    "DS": _number,
    "IS": _number,
    "FD": _packed("d"),
    "FL": _packed("f"),
    "UL": _packed("I"),
    "US": _packed("H"),
    "SQ": _sequence,
}
