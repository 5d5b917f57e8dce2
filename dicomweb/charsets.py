"""Character sets a client takes (PS3.18 8.3.3.2, 8.8): text leaves as UTF-8, so that must be among them."""

from functools import lru_cache

from dicomweb.media_types import split, weight
from dicomweb.problems import BadRequest

# The name of IANA, and DICOM's defined term for the same (PS3.18 Annex D).
_OURS = frozenset({"utf-8", "utf8", "iso_ir 192"})
_LONGEST = 1024


@lru_cache(maxsize=256)
def check_charsets(parameter: str | None, header: str | None) -> None:
    """Refuse a request for text in nothing but character sets that are unknown or not given here.

    Those among others are passed over (8.8.4). Objects in `application/dicom` leave as they are stored.

    Args:
        parameter: the `charset` query parameter, which counts more than the header.
        header: Accept-Charset, where `*` means any.

    Raises:
        BadRequest: UTF-8 is not among them.
    """
    asked = parameter if parameter is not None else header
    if asked is None:
        return
    names = dict(map(_named, split(asked[:_LONGEST], ",")))
    wildcard = names.get("*", 0.0) if parameter is None else 0.0
    if not any(names.get(name, wildcard) > 0 for name in _OURS):
        what = "charset" if parameter is not None else "Accept-Charset"
        raise BadRequest(f"{what}: text is given in UTF-8 alone, not in {asked[:80]!r}")


def _named(entry: str) -> tuple[str, float]:
    name, *parameters = (part.strip().strip('"').lower() for part in entry.split(";"))
    weights = (part[2:] for part in parameters if part.startswith("q="))
    return name, weight(next(weights, "1"))
