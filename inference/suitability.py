"""Whether a model may be run on these images at all, from their headers."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pydicom.datadict import tag_for_keyword

from models.schema.images import AttributeRule, Match
from storage.pixels.attributes import Attributes, functional_group, numbers, values

_MODALITY, _SOP_CLASS, _IMAGE_TYPE = "00080060", "00080016", "00080008"
_RESCALE_INTERCEPT, _RESCALE_TYPE, _PIXEL_VALUE_TRANSFORMATION = "00281052", "00281054", "00289145"
_BODY_PART, _VIEW_POSITION = "00180015", "00185101"


class Unsuitable(Exception):
    """These images do not suit the model; `str(error)` is the reason as a reader is told it."""


def reason_against(rules: Match, header: Attributes) -> str | None:
    """Why an image is none that `[applies_to]` or `[inputs.match]` of a card names; None when it is one.

    Args:
        rules: the card's table.
        header: DICOM JSON (PS3.18 F) of the image.
    """
    lists = (
        ("Modality", _MODALITY, rules.modality, "refuse"),
        ("SOPClassUID", _SOP_CLASS, rules.sop_class, "refuse"),
        ("BodyPartExamined", _BODY_PART, rules.body_part, "accept"),
        ("ViewPosition", _VIEW_POSITION, rules.view_position, "accept"),
    )
    wanted = (
        _not_listed(name, texts(header, tag), allowed, missing) for name, tag, allowed, missing in lists
    )
    excluded = _listed("ImageType", texts(header, _IMAGE_TYPE), rules.image_type_exclude)
    attributes = (_against(rule, header) for rule in rules.attributes)
    return next((reason for reason in (*wanted, excluded, *attributes) if reason), None)


def reason_against_all(rules: Sequence[Match], header: Attributes) -> str | None:
    """As `reason_against`, by the first of several rules that the image does not keep."""
    return next((reason for each in rules if (reason := reason_against(each, header))), None)


def fewest(rules: Sequence[Match]) -> int:
    """How many images there must be that keep these rules, at least."""
    return max(each.min_instances for each in rules)


def check_hounsfield(header: Attributes) -> None:
    """Raise `Unsuitable` when an image's values are not known to be Hounsfield units (PS3.3 C.8.2.1.1.2)."""
    scaling = functional_group(header, _PIXEL_VALUE_TRANSFORMATION, 1) or header
    units = texts(scaling, _RESCALE_TYPE) or ["HU"]
    if not numbers(scaling, _RESCALE_INTERCEPT):
        raise Unsuitable("the images have no RescaleIntercept: their values are not known to be HU")
    if units[0] != "HU":
        raise Unsuitable(f"RescaleType is {units[0]}, not HU")


def texts(header: Attributes, tag: str) -> list[str]:
    """The values of an attribute as they compare: upper case, without padding, empty ones left out."""
    found = (str(value).strip().upper() for value in values(header, tag) if value is not None)
    return [value for value in found if value]


def _not_listed(name: str, found: Sequence[str], allowed: Sequence[str], missing: str) -> str | None:
    if not allowed or (not found and missing == "accept"):
        return None
    if any(value.upper() in found for value in allowed):
        return None
    return f"{name} is {_shown(found) or 'not stated'}, not {' or '.join(allowed)}"


def _listed(name: str, found: Sequence[str], excluded: Sequence[str]) -> str | None:
    hits = [value for value in excluded if value.upper() in found]
    return f"{name} is {_shown(found)}: {hits[0]} images are left out" if hits else None


def _shown(found: Sequence[str]) -> str:
    return "\\".join(found)


def _against(rule: AttributeRule, header: Attributes) -> str | None:
    tag = f"{tag_for_keyword(rule.keyword):08X}"
    found = texts(header, tag)
    if not found:
        return f"{rule.keyword} is not stated" if rule.missing == "refuse" else None
    return (
        _not_listed(rule.keyword, found, rule.any_of, rule.missing)
        or _unlike(rule, found)
        or _listed(rule.keyword, found, rule.none_of)
        or _out_of_range(rule, numbers(header, tag))
    )


def _unlike(rule: AttributeRule, found: Sequence[str]) -> str | None:
    # Brackets are no pattern here, as they are none in DICOM (PS3.4 C.2.2.2.4).
    patterns = [pattern.upper().replace("[", "[[]") for pattern in rule.like]
    if not patterns or any(fnmatchcase(value, pattern) for value in found for pattern in patterns):
        return None
    return f"{rule.keyword} is {_shown(found)}, not like {' or '.join(rule.like)}"


def _out_of_range(rule: AttributeRule, found: Sequence[float]) -> str | None:
    if rule.min is None and rule.max is None:
        return None
    if not found:
        return f"{rule.keyword} is not a number"
    if rule.min is not None and min(found) < rule.min:
        return f"{rule.keyword} is {min(found):g}, less than {rule.min:g}"
    if rule.max is not None and max(found) > rule.max:
        return f"{rule.keyword} is {max(found):g}, more than {rule.max:g}"
    return None
