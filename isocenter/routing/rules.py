"""Which instances go where."""

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydicom.datadict import tag_for_keyword

from isocenter.routing.settings import When
from storage.events import Event
from storage.instances import Origin
from storage.pixels.attributes import Attributes, values

_WHENS: dict[str, When] = {
    "dimse": "stored",
    "stow": "stored",
    "import": "stored",
    "inference": "ai-result",
    "review": "review-signed",
}
"""By protocol of the origin. What is only indexed anew went out before."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; what is empty is not asked for."""

    name: str
    whens: frozenset[When]
    sources: tuple[str, ...]
    """Patterns of the peer that brought the instance."""
    match: Mapping[str, tuple[str, ...]]
    """Patterns by keyword."""
    to: tuple[str, ...]
    """Names of destinations."""

    def is_about(self, event: Event) -> bool:
        """What the event itself says is what the rule asks for."""
        return (
            event.sop is not None
            and event.kind in {"instance.stored", "instance.replaced"}
            and _WHENS.get(event.origin.protocol) in self.whens
            and self.is_from(event)
        )

    def is_from(self, event: Event) -> bool:
        """It was brought, or will be, by whom the rule names."""
        return not self.sources or fits(self.sources, [event.origin.peer])

    def matches(self, header: Attributes) -> bool:
        """The instance is what the rule asks for; `header` as of `Archive.headers`."""
        return meets(self.match, header)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a destination is when it sends to us."""

    aet: str = ""
    hosts: frozenset[str] = frozenset()
    """Network addresses of a DICOMweb service."""

    def brought(self, origin: Origin) -> bool:
        """It has sent us the instance, hence has it."""
        if origin.protocol == "dimse":
            return bool(self.aet) and origin.peer == self.aet
        return origin.protocol == "stow" and origin.address in self.hosts


@dataclass(frozen=True, slots=True)
class PrefetchRule:
    """A rule for which studies priors are fetched."""

    rule: Rule
    archive: Identity
    """Of what it has brought itself, no priors are asked of it: they would be priors of priors."""
    scheduled: bool
    """Also as soon as a study stands on the modality worklist."""

    def is_about(self, event: Event) -> bool:
        """What the event itself says is what the rule asks for."""
        if event.kind == "step.scheduled":
            return self.scheduled and self.rule.is_from(event)
        return self.rule.is_about(event) and not self.archive.brought(event.origin)


@dataclass(frozen=True, slots=True)
class NoticeRule:
    """A rule for which studies a peer is told that they are here."""

    name: str
    whens: frozenset[When]
    sources: tuple[str, ...]

    def is_about(self, event: Event) -> bool:
        """Something came to an end: a delivery, or what a modality does."""
        if event.kind not in {"delivery.ended", "series.performed"} or not event.study:
            return False
        return _WHENS.get(event.origin.protocol) in self.whens and (
            not self.sources or fits(self.sources, [event.origin.peer])
        )


def addresses_of(host: str) -> frozenset[str]:
    """The network addresses of a host, as far as they can be told now."""
    try:
        return frozenset({host, *(str(entry[4][0]) for entry in socket.getaddrinfo(host, None))})
    except OSError:
        return frozenset({host})


def meets(match: Mapping[str, Sequence[str]], header: Attributes) -> bool:
    """Of each keyword in `match` one pattern fits one value of the header (as of `Archive.headers`)."""
    return all(fits(patterns, _texts(header, keyword)) for keyword, patterns in match.items())


def fits(patterns: Sequence[str], found: Sequence[str]) -> bool:
    """One of the patterns, with * and ?, fits one of the texts; case is ignored."""
    return any(_compiled(pattern).fullmatch(text) for pattern in patterns for text in found)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(c) or re.escape(c) for c in pattern), re.IGNORECASE | re.DOTALL)


def _texts(header: Attributes, keyword: str) -> list[str]:
    """The values as text, of names each group; an absent attribute is the empty text."""
    tag = tag_for_keyword(keyword)
    found = values(header, f"{tag:08X}") if tag is not None else []
    texts = [
        text
        for value in found
        for text in (value.values() if isinstance(value, Mapping) else [value])
        if text is not None
    ]
    return [str(text).strip() for text in texts] or [""]
