"""How person names and descriptions are compared: without case, accents and width."""

import unicodedata

_GROUP = 84
"""Characters of a component group that are compared; PS3.5 6.2 allows 64."""
_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "\u0131": "i"}
)
# Latin, Greek and Cyrillic accents. The Japanese voicing marks are beyond: か and が are two letters.
_FIRST_ACCENT, _LAST_ACCENT = "\u0300", "\u036f"


def normalised(text: str) -> str:
    """`text` as it is compared: compatibility forms folded, accents dropped, case folded, ends trimmed."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    bare = "".join(c for c in decomposed if not _FIRST_ACCENT <= c <= _LAST_ACCENT)
    return unicodedata.normalize("NFKC", bare.casefold()).strip()


def name_groups(value: str) -> tuple[str, str, str]:
    """The alphabetic, ideographic and phonetic group of a person name (PS3.5 6.2.1.1), as compared.

    `^` becomes a blank; empty components at the end and blanks around components do not count.
    """
    groups = [_group(part) for part in value.split("=")[:3]]
    alphabetic, ideographic, phonetic = (*groups, "", "")[:3]
    return alphabetic, ideographic, phonetic


def _group(part: str) -> str:
    # A full-width equals sign folds to the one that parts groups.
    components = [normalised(component).replace("=", " ") for component in part.split("^")]
    return " ".join(components).rstrip()[:_GROUP]


def joined(groups: tuple[str, str, str]) -> str:
    """The three groups as one string, `=` between them and none at the end."""
    return "=".join(groups).rstrip("=")


def words(pattern: str) -> list[str]:
    """The words of a name or of a pattern for one, as compared; `?` stays, `*` parts words."""
    blanks = str.maketrans({"^": " ", "*": " ", "=": " "})
    return normalised(pattern.translate(blanks)).split()
