"""Codes for what people write in words: the code it already has, a well-known one, or a private one."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from inference.findings import Code

PRIVATE_SCHEME = "99ISOCENTER"
"""Coding Scheme Designator of names that people gave (PS3.16 8: private ones begin with 99)."""
# CID 7469 and 7460; pixel counts and times need no code of ours.
MEASURED: Mapping[str, Code] = {
    "diameter": Code("81827009", "SCT", "Diameter"),
    "length": Code("410668003", "SCT", "Length"),
    "long axis": Code("103339001", "SCT", "Long Axis"),
    "short axis": Code("103340004", "SCT", "Short Axis"),
    "area": Code("42798000", "SCT", "Area"),
    "volume": Code("118565006", "SCT", "Volume"),
}
UNITS: Mapping[str, str] = {
    "": "1",
    "HU": "[hnsf'U]",
}
_UCUM = re.compile(r"[\x21-\x7e]{1,16}")


def finding_code(words: str, known: Iterable[Code]) -> Code:
    """The code for a finding's name, one of `known` where the name is that of one."""
    same = (code for code in known if code.meaning.casefold() == words.casefold())
    return next(same, None) or private_code(words)


def measured_code(words: str, known: Iterable[Code]) -> Code:
    """The code for what is measured, one of `known` where the name is that of one."""
    same = (code for code in known if code.meaning.casefold() == words.casefold())
    return next(same, None) or MEASURED.get(words.casefold()) or private_code(words)


def unit_code(unit: str) -> Code:
    """The UCUM code of a unit (PS3.16 CID 82).

    Raises:
        ValueError: no UCUM unit looks like this.
    """
    value = UNITS.get(unit, unit)
    if not _UCUM.fullmatch(value):
        raise ValueError(f"{unit!r} is not a UCUM unit")
    return Code(value, "UCUM", "no units" if value == "1" else value)


def private_code(words: str) -> Code:
    """The same private code for the same words, whatever their case."""
    digest = hashlib.sha256(words.casefold().encode()).hexdigest()
    return Code(digest[:12], PRIVATE_SCHEME, words)
