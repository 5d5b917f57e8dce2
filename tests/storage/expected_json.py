"""The DICOM JSON of a data set as pydicom sees it, brought to the form ours has.

The differences, each by intent:

* group lengths and elements of groups below 0004 are left out (PS3.18 F.2.2; PS3.5 7.1);
* Specific Character Set is ISO_IR 192, since the JSON is UTF-8;
* an empty sequence has no Value (F.2.5), an empty value among others is null (F.2.5);
* only the component groups of a person name that are not empty are there (F.2.2);
* spaces at the end of each value go, and at its start where they mean nothing (PS3.5 6.2); NUL goes anywhere;
* numbers that JSON does not know are strings;
* an Integer or Decimal String that is no number is its text, where pydicom raises;
* encapsulated pixel data is OB even where its writer said OW (PS3.5 A.4);
* a known attribute of VR UN has the VR of the dictionary whatever its length, where pydicom stops at 64 kB.
"""

import base64
import math
from collections.abc import Callable
from typing import Any

import pydicom
from pydicom.dataelem import DataElement

Bulk = Callable[[str], bytes]

BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
CODES = {"AE", "AS", "CS", "DA", "DT", "TM", "UI"}
LABELS = CODES | {"LO", "SH", "UC"}
NUMBERS = {"FL", "FD"}


def expected(ds: pydicom.Dataset) -> dict[str, Any]:
    """`ds` in the DICOM JSON Model, binary values as bytes under the key `bytes`."""
    elements = (ds[tag] for tag in sorted(ds.keys()))
    return {f"{element.tag:08X}": _attribute(element) for element in elements if _belongs(element)}


def _belongs(element: DataElement) -> bool:
    return element.tag.element != 0 and element.tag.group >= 4


def _attribute(element: DataElement) -> dict[str, Any]:
    vr = str(element.VR)
    if element.tag == 0x00080005:
        return {"vr": "CS", "Value": ["ISO_IR 192"]} if element.value else {"vr": "CS"}
    if vr == "SQ":
        items = [expected(item) for item in element.value]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in BINARY:
        vr = "OB" if element.is_undefined_length else vr
        return {"vr": vr, "bytes": bytes(element.value)} if element.value else {"vr": vr}
    values = [_value(vr, value) for value in element.to_json_dict(None, 0).get("Value", ())]
    return {"vr": vr, "Value": values} if values and values != [None] else {"vr": vr}


def _value(vr: str, value: Any) -> Any:
    if vr == "PN":
        groups = {name: text.replace("\0", "").rstrip(" ") for name, text in value.items()}
        return {name: text for name, text in groups.items() if text} or None
    if vr in NUMBERS and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str):
        value = value.replace("\0", "")
        return (value.strip(" ") if vr in CODES else value.rstrip(" ")) or None
    return value


def with_bytes(attributes: dict[str, Any], bulk: Bulk) -> dict[str, Any]:
    """Our JSON with every binary value as bytes: inline ones decoded, bulk ones fetched by their path."""
    return {tag: _resolved(attribute, bulk) for tag, attribute in attributes.items()}


def _resolved(attribute: dict[str, Any], bulk: Bulk) -> dict[str, Any]:
    vr = attribute["vr"]
    if "InlineBinary" in attribute:
        return {"vr": vr, "bytes": base64.b64decode(attribute["InlineBinary"])}
    if "BulkDataURI" in attribute:
        return {"vr": vr, "bytes": bulk(attribute["BulkDataURI"].removeprefix("bulkdata:"))}
    if vr == "SQ" and "Value" in attribute:
        return {"vr": vr, "Value": [with_bytes(item, bulk) for item in attribute["Value"]]}
    return attribute
