"""What may be asked: the matching kinds of PS3.4 C.2.2.2 as values; no SQL, no HTTP, no DIMSE."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["study", "series", "instance"]


@dataclass(frozen=True, slots=True)
class Exact:
    """Single value matching (C.2.2.2.1); person names and descriptions compare case-insensitively."""

    value: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Wild card matching with `*` and `?` (C.2.2.2.4)."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """Range matching, both ends included, either may be open (C.2.2.2.5)."""

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class DateTimeRange:
    """Range of a date and its time as one value (C.2.2.2.5, combined datetime matching); see `TIME_OF`.

    Each end is a date and a time, or None where it is open.
    """

    low: tuple[str, str] | None
    high: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class OneOf:
    """List of UID matching (C.2.2.2.2), and multiple values of other attributes (C.2.2.2.8)."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Empty:
    """Empty value matching (C.2.2.2.7): the attribute is absent or has no value."""


Value = Exact | Wildcard | Range | DateTimeRange | OneOf | Empty


@dataclass(frozen=True, slots=True)
class Match:
    """One attribute and what its value must be.

    `tag` is eight upper-case hexadecimal digits; a path into a sequence joins tags by dots.
    """

    tag: str
    value: Value


@dataclass(frozen=True, slots=True)
class Query:
    """A search at one level, newest study first.

    `include` names attributes (tags as in `Match`) wanted beyond the required ones; `("all",)` asks for every
    attribute known at that level. `limit` None means our own bound. `behind` is a Study Instance UID:
    only what comes after that study is answered, in a time that does not depend on how far down it is.
    """

    level: Level
    matches: tuple[Match, ...] = ()
    study: str | None = None
    series: str | None = None
    include: tuple[str, ...] = ()
    fuzzy: bool = False
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Further keys in the DICOM JSON Model, for which headers are read: those of the instances, or above that
    level the one of the first instance of the study or series. That is bounded: see `MOST_HEADERS`."""
    zone: int | None = None
    """Minutes east of UTC: the time zone of the dates and times in `keys`; see `storage.zones`."""
    creators: Mapping[str, str] = field(default_factory=dict)
    """Private creator of a private attribute in `include`, which may stand in another block of an instance
    (PS3.5 7.8.1)."""
    limit: int | None = None
    offset: int = 0
    behind: str | None = None
    rejected: bool = False
    """Also what rejection notes take out of use."""
    required: bool = True
    """The required attributes are answered; otherwise, beside keys, just what `include` names."""
    retrieve_base: str | None = None
    """Address of the service that answers: with it, each answer names its Retrieve URL (0008,1190)."""


@dataclass(frozen=True, slots=True)
class Page:
    """Answers in order."""

    texts: tuple[str, ...]
    """Each a DICOM JSON object (PS3.18 F)."""
    more: bool
    """There were further answers beyond the limit."""

    @property
    def answers(self) -> tuple[dict[str, Any], ...]:
        """The same as dictionaries, read anew each time."""
        # One array: the decoder is called once.
        return tuple(json.loads(f"[{','.join(self.texts)}]"))


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that is searched or answered from the index, and where it stands."""

    tag: str
    keyword: str
    vr: str
    level: Level
    answered: bool = True
    """Part of every answer (PS3.18 tables 10.6.3-3 to -5), with an empty value when it has none."""
    matched: bool = True
    """May be asked for (PS3.18 table 10.6.1-5, and more)."""


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("00080020", "StudyDate", "DA", "study"),
    Attribute("00080030", "StudyTime", "TM", "study"),
    Attribute("00080050", "AccessionNumber", "SH", "study"),
    Attribute("00080056", "InstanceAvailability", "CS", "study", matched=False),
    Attribute("00080061", "ModalitiesInStudy", "CS", "study"),
    Attribute("00080062", "SOPClassesInStudy", "UI", "study", answered=False),
    Attribute("00080090", "ReferringPhysicianName", "PN", "study"),
    Attribute("00080201", "TimezoneOffsetFromUTC", "SH", "study", answered=False, matched=False),
    Attribute("00081030", "StudyDescription", "LO", "study"),
    Attribute("00100010", "PatientName", "PN", "study"),
    Attribute("00100020", "PatientID", "LO", "study"),
    Attribute("00100021", "IssuerOfPatientID", "LO", "study", answered=False),
    Attribute("00100030", "PatientBirthDate", "DA", "study"),
    Attribute("00100040", "PatientSex", "CS", "study"),
    Attribute("0020000D", "StudyInstanceUID", "UI", "study"),
    Attribute("00200010", "StudyID", "SH", "study"),
    Attribute("00201206", "NumberOfStudyRelatedSeries", "IS", "study", matched=False),
    Attribute("00201208", "NumberOfStudyRelatedInstances", "IS", "study", matched=False),
    Attribute("00080021", "SeriesDate", "DA", "series", answered=False),
    Attribute("00080031", "SeriesTime", "TM", "series", answered=False),
    Attribute("00080060", "Modality", "CS", "series"),
    Attribute("0008103E", "SeriesDescription", "LO", "series"),
    Attribute("00180015", "BodyPartExamined", "CS", "series", answered=False),
    Attribute("0020000E", "SeriesInstanceUID", "UI", "series"),
    Attribute("00200011", "SeriesNumber", "IS", "series"),
    Attribute("00201209", "NumberOfSeriesRelatedInstances", "IS", "series", matched=False),
    Attribute("00400244", "PerformedProcedureStepStartDate", "DA", "series"),
    Attribute("00400245", "PerformedProcedureStepStartTime", "TM", "series"),
    Attribute("00400275", "RequestAttributesSequence", "SQ", "series", matched=False),
    Attribute("00400275.00400009", "ScheduledProcedureStepID", "SH", "series", answered=False),
    Attribute("00400275.00401001", "RequestedProcedureID", "SH", "series", answered=False),
    Attribute("00080016", "SOPClassUID", "UI", "instance"),
    Attribute("00080018", "SOPInstanceUID", "UI", "instance"),
    Attribute("00200013", "InstanceNumber", "IS", "instance"),
    Attribute("00280008", "NumberOfFrames", "IS", "instance", answered=False),
    Attribute("00280010", "Rows", "US", "instance", answered=False),
    Attribute("00280011", "Columns", "US", "instance", answered=False),
    Attribute("00280100", "BitsAllocated", "US", "instance", answered=False),
)
BY_TAG = {attribute.tag: attribute for attribute in ATTRIBUTES}
TIME_OF = {"00080020": "00080030", "00080021": "00080031", "00400244": "00400245"}
"""The time that belongs to a date, by their tags."""
BY_KEYWORD = {attribute.keyword: attribute for attribute in ATTRIBUTES}

LEVELS: tuple[Level, ...] = ("study", "series", "instance")

DEFAULT_LIMIT: dict[Level, int] = {"study": 1_000, "series": 10_000, "instance": 10_000}
"""Answers to a query without a limit."""
MAX_LIMIT = 10_000
"""Answers to any one query; a greater limit is taken as this, and `Page.more` tells."""

MOST_HEADERS = 2_000
"""Headers that one query reads to match `Query.keys`; where there are others, `Page.more` tells."""

# What the modules of patient and study (PS3.3 C.7.1, C.7.2) hold beyond group 0010, and those of series,
# equipment and frame of reference (C.7.3 to C.7.5): the same in all instances of a study or series.
STUDY_TAGS = frozenset({"00080051", "00080096", "00081032", "00081048", "00081060", "00321032", "00321034"})
SERIES_TAGS = frozenset(
    {
        *("00080070", "00080080", "00080081", "00081010", "00081040", "00081050", "00081070", "00081090"),
        *("00081111", "00180010", "00181000", "00181020", "00181030", "00185100", "00200052", "00200060"),
        *("00201040", "00400242", "00400253", "00400254", "00400260", "00400555"),
    }
)


def is_study_tag(tag: str) -> bool:
    """The attribute belongs to the patient or study."""
    return tag[:4] == "0010" or tag in STUDY_TAGS


def with_joined_ranges(values: Mapping[str, Value]) -> dict[str, Value]:
    """Ranges of a date and of its time that are open at the same ends, as one range (PS3.4 C.2.2.2.5).

    Args:
        values: by tag.
    """
    joined = dict(values)
    for date, time in TIME_OF.items():
        days, times = values.get(date), values.get(time)
        if isinstance(days, Range) and isinstance(times, Range) and _form(days) == _form(times):
            low, high = (
                (a, b) if a and b else None for a, b in ((days.low, times.low), (days.high, times.high))
            )
            joined[date] = DateTimeRange(low, high)
            del joined[time]
    return joined


def _form(of: Range) -> tuple[bool, bool]:
    return of.low is None, of.high is None
