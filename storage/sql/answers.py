"""Rows as DICOM JSON objects (PS3.18 F.2), with what was asked for beyond the columns."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import Connection, Select, func, select

from storage.search import ATTRIBUTES, LEVELS, Attribute, Level, Query
from storage.sql.beyond import ALL, Element, from_headers, wants_beyond
from storage.sql.found import Found
from storage.sql.prepared import Binds, Prepared
from storage.sql.rejections import hidden_by_series
from storage.sql.stored import chunks
from storage.sql.tables import series, series_classes, series_requests

_RETRIEVE_URL = "00081190"
_STEPS: dict[Level, tuple[str, str]] = {
    "study": ("studies", "0020000D"),
    "series": ("series", "0020000E"),
    "instance": ("instances", "00080018"),
}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

_COLUMNS = {
    "00080020": "studies_study_date",
    "00080030": "studies_study_time",
    "00080050": "studies_accession",
    "00080090": "studies_referring",
    "00080201": "studies_timezone",
    "00081030": "studies_description",
    "00100010": "studies_patient_name",
    "00100020": "studies_patient_id",
    "00100021": "studies_issuer",
    "00100030": "studies_birth_date",
    "00100040": "studies_sex",
    "0020000D": "studies_study_uid",
    "00200010": "studies_study_label",
    "00080021": "series_series_date",
    "00080031": "series_series_time",
    "00080060": "series_modality",
    "0008103E": "series_description",
    "00180015": "series_body_part",
    "0020000E": "series_series_uid",
    "00200011": "series_number",
    "00201209": "series_instances",
    "00400244": "series_pps_start_date",
    "00400245": "series_pps_start_time",
    "00080016": "instances_sop_class",
    "00080018": "instances_sop_uid",
    "00200013": "instances_number",
    "00280008": "instances_number_of_frames",
    "00280010": "instances_rows",
    "00280011": "instances_columns",
    "00280100": "instances_bits_allocated",
}
_IN_SERIES = "00201209"
_WHEN_KNOWN = {"00080201", "00280008", "00280010", "00280011", "00280100"}
"""Answered where there is a value; an empty one would say something about an instance that has none."""
ANSWERED = frozenset(_COLUMNS.values())
"""Columns of the statements that are answered from, by `<table>_<column>`."""
_LISTS = frozenset({"00080061", "00080062", "00400275"})
_ALWAYS = {"00080056", "0020000D"}


def answers(connection: Connection, query: Query, rows: Found, *, hides: bool) -> list[str]:
    """The text of one DICOM JSON object for each row, its tags in order; `hides`: there may be rejections."""
    if not rows:
        return []
    wanted = _wanted(query.level, query.study is None, query.series is None, query.include, query.required)
    tags = {attribute.tag for attribute in wanted}
    values = _Values(connection, rows, tags, hides=hides)
    members = {a.tag: _members(a, values.of(a)) for a in wanted if "." not in a.tag}
    if query.retrieve_base is not None:
        members[_RETRIEVE_URL] = _retrieve_urls(query.retrieve_base, query.level, values)
    if wants_beyond(query, tags):
        beyond = from_headers(connection, query, rows, tags)
        return [
            _merged({tag: texts[at] for tag, texts in members.items()}, beyond[at]) for at in range(len(rows))
        ]
    ordered = [members[tag] for tag in sorted(members)]
    return ["{" + ",".join(filter(None, texts)) + "}" for texts in zip(*ordered, strict=True)]


def _members(attribute: Attribute, values: Sequence[Any]) -> list[str]:
    """The member of each row's JSON object, '' where it has none. Equal values are written once."""
    tag, vr = attribute.tag, attribute.vr
    if tag in _LISTS:
        return [_member(tag, element(vr, value)) for value in values]
    start = f'"{tag}":{{"vr":"{vr}"'
    empty = "" if tag in _WHEN_KNOWN else start + "}"
    written: dict[Any, str] = {None: empty, "": empty}
    for value in set(values) - written.keys():
        written[value] = f'{start},"Value":[{_encoded(vr, value)}]}}'
    return [written[value] for value in values]


def _encoded(vr: str, value: Any) -> str:
    if vr == "PN":
        return _ENCODER.encode(_name(value))
    return encode_basestring(value) if isinstance(value, str) else str(value)


def _member(tag: str, value: Element) -> str:
    return f'"{tag}":{_ENCODER.encode(value)}'


def _retrieve_urls(base: str, level: Level, values: "_Values") -> list[str]:
    start = f'"{_RETRIEVE_URL}":{{"vr":"UR","Value":["{_ENCODER.encode(base)[1:-1]}'
    addresses = [start] * values.rows
    for step in LEVELS[: LEVELS.index(level) + 1]:
        name, tag = _STEPS[step]
        uids = values.column(_COLUMNS[tag])
        addresses = [f"{before}/{name}/{uid}" for before, uid in zip(addresses, uids, strict=True)]
    return [address + '"]}' for address in addresses]


def _merged(members: Mapping[str, str], more: Mapping[str, Element]) -> str:
    texts = {tag: _member(tag, value) for tag, value in more.items()}
    texts |= {tag: text for tag, text in members.items() if text}
    return "{" + ",".join(texts[tag] for tag in sorted(texts)) + "}"


@lru_cache(maxsize=256)
def _wanted(
    level: Level, any_study: bool, any_series: bool, include: tuple[str, ...], required: bool
) -> tuple[Attribute, ...]:
    """The attributes that an answer has from the index."""
    # Its own, and those above that its path does not fix (PS3.18 10.6.3.3).
    levels: set[Level] = {level}
    if any_study:
        levels.add("study")
    if any_series and level == "instance":
        levels.add("series")

    def is_wanted(attribute: Attribute) -> bool:
        tag = attribute.tag
        if tag in _ALWAYS or (tag == "0020000E" and level == "instance"):
            return True
        if attribute.level not in levels:
            return LEVELS.index(attribute.level) < LEVELS.index(level) and tag in include
        return (
            tag in include
            or (required and (attribute.answered or tag in _WHEN_KNOWN))
            or (ALL in include and attribute.level == level)
        )

    return tuple(filter(is_wanted, ATTRIBUTES))


def element(vr: str, value: Any) -> Element:
    """A DICOM JSON element; an empty one for None, '' and an empty list."""
    if value is None or value in ("", []):
        return {"vr": vr}
    if vr == "PN":
        return {"vr": vr, "Value": [_name(value)]}
    return {"vr": vr, "Value": value if isinstance(value, list) else [value]}


def _name(value: str) -> dict[str, str]:
    return {group: text for group, text in zip(_GROUPS, value.split("="), strict=False) if text}


class _Values:
    """The columns of the rows, and what is counted and listed for all of them at once."""

    def __init__(self, connection: Connection, rows: Found, tags: Collection[str], *, hides: bool) -> None:
        self.rows = len(rows)
        self.column = rows.column
        self._computed: dict[str, list[Any]] = {"00080056": ["ONLINE"] * len(rows)}
        studies_of = self.column("studies_id")
        ids = sorted(set(studies_of))
        counted = {"00080061", "00201206", "00201208"} & set(tags)
        hidden = hidden_by_series(connection, ids) if hides and (counted or _IN_SERIES in tags) else {}
        if _IN_SERIES in tags:
            here = zip(studies_of, self.column("series_id"), self.column(_COLUMNS[_IN_SERIES]), strict=True)
            self._computed[_IN_SERIES] = [
                count - hidden.get(study, {}).get(of_series, 0) for study, of_series, count in here
            ]
        if counted:
            summary = _summaries(connection, ids, hidden)
            for at, tag in enumerate(("00080061", "00201206", "00201208")):
                self._computed[tag] = [summary[study_id][at] for study_id in studies_of]
        if "00080062" in tags:
            classes = _classes(connection, ids)
            self._computed["00080062"] = [classes[study_id] for study_id in studies_of]
        if "00400275" in tags:
            requests = _requests(connection, sorted(set(self.column("series_id"))))
            self._computed["00400275"] = [requests[series_id] for series_id in self.column("series_id")]

    def of(self, attribute: Attribute) -> Sequence[Any]:
        """The values of an attribute."""
        if attribute.tag in self._computed:
            return self._computed[attribute.tag]
        values = self.column(_COLUMNS[attribute.tag])
        return [value or None for value in values] if attribute.tag == "00280008" else values


def _by_modality(_dialect: str, rows: list[Binds]) -> Select[Any]:
    here = series.c.study_id.in_([row["study_id"] for row in rows])
    return select(*_GROUPED, *_SUMS).where(here).group_by(*_GROUPED).order_by(*_GROUPED)


_GROUPED = (series.c.study_id, series.c.modality)
_SUMS = (func.count(), func.sum(series.c.instances))
# Counts are given as the driver has them, as any number.
_BY_MODALITY = Prepared((series.c.study_id,), (*_GROUPED, series.c.id, series.c.instances), _by_modality)


def _summaries(
    connection: Connection, ids: list[int], hidden: Mapping[int, Mapping[int, int]]
) -> dict[int, tuple[list[str], int, int]]:
    """Modalities, number of series and number of instances of each study, but for what is `hidden`."""
    found: dict[int, tuple[list[str], int, int]] = defaultdict(lambda: ([], 0, 0))
    grouped = _BY_MODALITY.ask(connection, [(study_id,) for study_id in ids])
    for study_id, modality, of_series, of_instances in grouped:
        modalities, all_series, all_instances = found[study_id]
        more = [modality] if modality else []
        found[study_id] = (modalities + more, all_series + of_series, all_instances + int(of_instances))
    for study_id, of_study in hidden.items():
        found[study_id] = _summary_without(connection, study_id, of_study)
    return found


def _summary_without(
    connection: Connection, study_id: int, hidden: Mapping[int, int]
) -> tuple[list[str], int, int]:
    columns = (series.c.id, series.c.modality, series.c.instances)
    rows = connection.execute(select(*columns).where(series.c.study_id == study_id)).all()
    shown = [(row.modality, left) for row in rows if (left := row.instances - hidden.get(row.id, 0)) > 0]
    return (
        sorted({modality for modality, _ in shown if modality}),
        len(shown),
        sum(left for _, left in shown),
    )


def _classes(connection: Connection, ids: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    columns = (series_classes.c.sop_class, series.c.study_id)
    query = select(*columns).distinct().select_from(series.join(series_classes))
    for some in chunks(ids):
        for sop_class, study_id in connection.execute(query.where(series.c.study_id.in_(some))):
            found[study_id].append(sop_class)
    return defaultdict(list, {study_id: sorted(set(classes)) for study_id, classes in found.items()})


def _requests(connection: Connection, ids: list[int]) -> dict[int, list[Element]]:
    found: dict[int, list[Element]] = defaultdict(list)
    query = select(series_requests).order_by(series_requests.c.series_id, series_requests.c.item)
    for some in chunks(ids):
        for row in connection.execute(query.where(series_requests.c.series_id.in_(some))):
            item = {"00400009": element("SH", row.step_id), "00401001": element("SH", row.procedure_id)}
            found[row.series_id].append(item)
    return found
