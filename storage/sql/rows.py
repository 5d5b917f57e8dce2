"""From the header of an instance to the values of its rows."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from storage.header import Header
from storage.instances import InstanceKey, Origin, StoredInstance
from storage.names import joined, name_groups, normalised
from storage.sql.packing import pack

Values = dict[str, Any]
Attributes = dict[str, Any]

# Longer values break the standard; cut, they still fit every index of PostgreSQL (2704 bytes a row).
_LONGEST = 256
_MAX_INTEGER = 2**31 - 1
_MAX_REQUESTS = 64


@dataclass(frozen=True)
class Entry:
    """An instance whose bytes are durable, ready to become a row."""

    header: Header
    instance: StoredInstance
    origin: Origin
    delivery: str | None = None
    when_known: Literal["refuse", "replace", "place"] = "refuse"
    """`replace`: other bytes become a new version; `place`: it takes the place its version number says."""
    settled: bool = True
    """False when something else keeps the instance until the index is settled."""
    json: bytes = field(init=False)
    layout: bytes = field(init=False)

    def __post_init__(self) -> None:
        # Done here, in the caller's thread, not while others wait for the transaction. What only the first
        # instance of a series needs is done when it is needed.
        object.__setattr__(self, "json", pack(self.header.json))
        object.__setattr__(self, "layout", pack(self.header.layout.to_bytes()))

    @property
    def key(self) -> InstanceKey:
        return self.instance.key

    @property
    def patient_id(self) -> str:
        return text(self.header.attributes, "00100020")

    @cached_property
    def study(self) -> Values:
        return _study(self.header.attributes)

    @cached_property
    def series(self) -> Values:
        return _series(self.header.attributes)

    @cached_property
    def requests(self) -> list[Values]:
        return _requests(self.header.attributes)

    @cached_property
    def details(self) -> Values:
        return _details(self.header.attributes)

    @cached_property
    def stored(self) -> Values:
        """The columns that each version of an instance has."""
        instance = self.instance
        return {
            "sop_class": instance.sop_class,
            "transfer_syntax": instance.transfer_syntax,
            "size": instance.size,
            "digest": bytes.fromhex(instance.digest),
            "dataset_offset": self.header.dataset_offset,
            "version": instance.version,
            "number_of_frames": instance.number_of_frames,
            "stored_at": instance.stored_at,
        }


def _study(attributes: Attributes) -> Values:
    name = person_name(attributes, "00100010")
    groups = name_groups(name)
    referring = person_name(attributes, "00080090")
    description = text(attributes, "00081030")
    return {
        "study_date": date(attributes, "00080020"),
        "study_time": time(attributes, "00080030"),
        "accession": text(attributes, "00080050"),
        "study_label": text(attributes, "00200010"),
        "description": description,
        "referring": referring,
        "patient_name": name,
        "patient_id": text(attributes, "00100020"),
        "issuer": text(attributes, "00100021"),
        "birth_date": date(attributes, "00100030"),
        "sex": text(attributes, "00100040"),
        "timezone": text(attributes, "00080201"),
        "pn_norm": joined(groups),
        "pn_ideo": groups[1] or None,
        "pn_phon": groups[2] or None,
        "ref_norm": joined(name_groups(referring)),
        "descr_norm": normalised(description)[:_LONGEST],
    }


def _series(attributes: Attributes) -> Values:
    description = text(attributes, "0008103E")
    return {
        "modality": text(attributes, "00080060"),
        "number": integer(attributes, "00200011"),
        "description": description,
        "descr_norm": normalised(description)[:_LONGEST],
        "series_date": date(attributes, "00080021"),
        "series_time": time(attributes, "00080031"),
        "body_part": text(attributes, "00180015"),
        "pps_start_date": date(attributes, "00400244"),
        "pps_start_time": time(attributes, "00400245"),
    }


def _requests(attributes: Attributes) -> list[Values]:
    items = attributes.get("00400275", {}).get("Value") or []
    return [
        {"item": number, "procedure_id": text(item, "00401001"), "step_id": text(item, "00400009")}
        for number, item in enumerate(items[:_MAX_REQUESTS])
        if isinstance(item, dict)
    ]


def _details(attributes: Attributes) -> Values:
    return {
        "number": integer(attributes, "00200013"),
        "rows": integer(attributes, "00280010"),
        "columns": integer(attributes, "00280011"),
        "bits_allocated": integer(attributes, "00280100"),
    }


def _first(attributes: Attributes, tag: str) -> Any:
    values = attributes.get(tag, {}).get("Value")
    return values[0] if isinstance(values, list) and values else None


def clean(value: object) -> str:
    """`value` as text that every database takes: no NUL, no half of a surrogate pair."""
    return str(value).replace("\0", "").encode("utf-8", "replace").decode().strip()[:_LONGEST]


def text(attributes: Attributes, tag: str) -> str:
    """The first value, '' when there is none."""
    value = _first(attributes, tag)
    return clean(value) if isinstance(value, str | int | float) else ""


def person_name(attributes: Attributes, tag: str) -> str:
    """The first value with its groups joined by `=` (PS3.5 6.2.1.1)."""
    value = _first(attributes, tag)
    if not isinstance(value, dict):
        return ""
    groups = [clean(value.get(group) or "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
    return "=".join(groups).rstrip("=")


def date(attributes: Attributes, tag: str) -> str:
    """YYYYMMDD; the old form with dots (ACR-NEMA) is rewritten, anything else kept as it is."""
    return text(attributes, tag).replace(".", "")[:16]


def time(attributes: Attributes, tag: str) -> str:
    """HHMMSS.FFFFFF or a part of it; the old form with colons (ACR-NEMA) is rewritten."""
    return text(attributes, tag).replace(":", "")[:16]


def integer(attributes: Attributes, tag: str) -> int | None:
    """The first value, None when it is no number that fits."""
    try:
        value = int(_first(attributes, tag))
    except (TypeError, ValueError, OverflowError):
        return None
    return value if abs(value) <= _MAX_INTEGER else None
