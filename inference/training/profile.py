"""The Basic Application Level Confidentiality Profile (PS3.15 E.2) with two options, as a table.

`profile.csv` is table E.1-1: tag (x for any digit), action of the basic profile, action where dates
are modified (Retain Longitudinal Temporal Information, E.3.6) and where the patient's characteristics stay
(E.3.5).
"""

import csv
from collections.abc import Mapping
from enum import Enum
from functools import cache
from importlib.resources import files

CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
"""De-identification Method Code Sequence (PS3.16 CID 7050), of scheme DCM."""


class Action(Enum):
    """What is done with an attribute."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    """A value of no meaning; a sequence keeps its items, which are de-identified."""
    UID = "U"
    SHIFT = "C"
    """A date is moved; times of day stay."""
    KEEP = "K"


def action_for(tag: int) -> Action | None:
    """What the profile asks for; None for attributes that it does not name.

    Args:
        tag: group and element as one number.
    """
    name = f"{tag:08X}"
    group = name[:2] + "xx"
    for known in (name, group + name[4:], group + "xxxx"):
        if known in _table():
            return _table()[known]
    return None


@cache
def _table() -> Mapping[str, Action]:
    lines = files(__package__).joinpath("profile.csv").read_text(encoding="ascii").splitlines()
    return {row["tag"]: _action(row) for row in csv.DictReader(lines)}


def _action(row: Mapping[str, str]) -> Action:
    if row["dates"]:
        return Action.SHIFT
    if row["characteristics"] == "K":
        return Action.KEEP
    # Where the action depends on the type that an IOD gives the attribute (table E.1-1a), one is valid for
    # all types: a dummy value rather than none, none rather than no attribute.
    basic = row["basic"]
    return Action.UID if "U" in basic else next(Action(code) for code in "DZX" if code in basic)
