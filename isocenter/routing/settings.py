"""The settings of sending: sections [[destinations]], [[routes]] and [routing]."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import time
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, field_validator, model_validator

from isocenter.routing.windows import Window
from isocenter.section import AETitle, Port, Section

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
When = Literal["stored", "ai-result", "review-signed"]
Pattern = Annotated[str, StringConstraints(max_length=256)]
_URL = re.compile(r"https?://[^\s?#]+")
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


def _keywords(match: dict[str, tuple[str, ...] | str]) -> dict[str, tuple[str, ...] | str]:
    from pydicom.datadict import tag_for_keyword  # noqa: PLC0415 - few have rules

    for keyword in match:
        if tag_for_keyword(keyword) is None:
            raise ValueError(f"{keyword} is no attribute of the standard")
    return match


def _are_hours(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        if not _HOURS.fullmatch(each):
            raise ValueError(f"{each!r} is not of the form HH:MM-HH:MM")
    return value


Match = Annotated[dict[str, tuple[Pattern, ...] | Pattern], AfterValidator(_keywords)]
Hours = Annotated[tuple[str, ...], AfterValidator(_are_hours)]


RESULTS: Mapping[str, str] = MappingProxyType(
    {
        "sr": "1.2.840.10008.5.1.4.1.1.88.34",
        "seg": "1.2.840.10008.5.1.4.1.1.66.4",
        "sc": "1.2.840.10008.5.1.4.1.1.7",
        "gsps": "1.2.840.10008.5.1.4.1.1.11.1",
    }
)
"""SOP Class UIDs of what results of models come as."""


class DestinationSettings(Section):
    """A place that instances are sent to: a peer (C-STORE) or a DICOMweb service (STOW-RS)."""

    name: Name
    peer: AETitle | None = None
    """AE title of one of [[node.peers]], which has a host."""
    url: str = ""
    """Root of a DICOMweb service, below which `/studies` is."""
    token: SecretStr | None = None
    """Bearer token for the service."""
    user: str = ""
    password: SecretStr | None = None
    """Basic authentication for the service."""
    certificate: Path | None = None
    """Our client certificate for the service and those that lead to its authority, PEM."""
    key: Path | None = None
    ca: Path | None = None
    """Certificates of the authorities of the service's certificate; None: those of the system."""
    transfer_syntaxes: tuple[str, ...] | None = Field(default=None, min_length=1)
    """UIDs of those that it is sent; None means as stored, and for a peer what its entry says."""
    parallel: int = Field(default=1, ge=1, le=16)
    """Associations or requests at a time."""
    max_megabytes_per_second: float | None = Field(default=None, gt=0)
    hours: Hours = ()
    """When it may be sent to, local time, e.g. `19:00-06:30`; empty: always."""
    results: tuple[Literal["sr", "seg", "sc", "gsps"], ...] = ()
    """What of the results of models it is sent, where a route leads to it; empty: all."""
    timeout_seconds: float = Field(default=60, gt=0)
    """How long it may take for each answer."""
    max_attempts: int = Field(default=20, ge=1)
    """Tries without progress before a shipment is parked."""
    commitment: bool = False
    """After sending, ask the peer for storage commitment; what it does not commit is sent again."""
    commitment_port: Port | None = None
    """Port where the peer may answer on an association of its own; None: it answers on ours."""

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if value and not _URL.fullmatch(value):
            raise ValueError("is not an http:// or https:// URL")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if bool(self.peer) == bool(self.url):
            raise ValueError(f"destination {self.name} needs either `peer` or `url`")
        web = (self.token, self.user, self.password, self.certificate, self.key, self.ca)
        if self.peer and any(web):
            raise ValueError(
                f"destination {self.name} is a peer: [node.tls] and its entry say how to come to it"
            )
        if self.url and self.commitment:
            raise ValueError(f"destination {self.name}: storage commitment is asked of peers only")
        if self.token and (self.user or self.password):
            raise ValueError(f"destination {self.name} has a token and a user")
        return self

    @property
    def windows(self) -> tuple[Window, ...]:
        """`hours`, read."""
        return windows_of(self.hours)


def windows_of(hours: Hours) -> tuple[Window, ...]:
    """Times of day, read."""
    found = (_HOURS.fullmatch(each) for each in hours)
    numbers = ([int(each) for each in match.groups()] for match in found if match)
    return tuple(Window(time(a, b), time(c, d)) for a, b, c, d in numbers)


def matched(match: Mapping[str, tuple[str, ...] | str]) -> dict[str, tuple[str, ...]]:
    """Patterns by keyword."""
    return {
        keyword: (patterns,) if isinstance(patterns, str) else patterns for keyword, patterns in match.items()
    }


class RouteSettings(Section):
    """A rule: which instances go where."""

    name: Name
    when: tuple[When, ...] = ("stored",)
    """What happened: `stored` from outside, `ai-result`, `review-signed`."""
    source: tuple[str, ...] = ()
    """AE titles, or user agents of STOW-RS, that it came from, with * and ?; empty: any."""
    match: Match = Field(default_factory=dict)
    """Values by keyword, with * and ?, case ignored; all keywords must match, one value of each."""
    to: tuple[Name, ...] = Field(min_length=1)


class PrefetchSettings(Section):
    """A rule: of which studies that come, or are to come, priors are fetched from another archive."""

    name: Name
    peer: AETitle
    """AE title of one of [[node.peers]], which has a host: the archive that is asked."""
    when: tuple[Literal["stored", "scheduled"], ...] = ("stored",)
    """When something of it is stored, or as soon as it stands on the modality worklist."""
    source: tuple[str, ...] = ()
    """As of a route; of what is scheduled, the AE title of the modality."""
    match: Match = Field(default_factory=dict)
    same_modality: bool = True
    same_body_part: bool = True
    max_age_days: int = Field(default=1825, ge=1)
    max_studies: int = Field(default=3, ge=1, le=100)
    by: Literal["move", "get"] = "move"
    """C-MOVE to our node, which the archive must know by its AE title, or C-GET."""
    pause_seconds: float = Field(default=1, ge=0)
    """Between two studies."""
    timeout_seconds: float = Field(default=60, gt=0)
    max_attempts: int = Field(default=10, ge=1)


class AvailabilitySettings(Section):
    """A rule: who is told of which studies that they are here (Instance Availability Notification)."""

    name: Name
    peer: AETitle
    """AE title of one of [[node.peers]], which has a host."""
    source: tuple[str, ...] = ()
    """As of a route."""
    when: tuple[When, ...] = ("stored", "ai-result", "review-signed")
    timeout_seconds: float = Field(default=60, gt=0)
    max_attempts: int = Field(default=10, ge=1)


class RoutingSettings(Section):
    """How the queues are worked off."""

    settle_seconds: float = Field(default=2, ge=0)
    """What of a study arrives within this time goes out together."""
    lease_seconds: float = Field(default=60, gt=1)
    """A router that is silent for this long has lost its shipment to another."""
    keep_days: float = Field(default=7, ge=0)
    """How long shipments that were sent are listed."""


def check_routing(
    destinations: Sequence[DestinationSettings],
    routes: Sequence[RouteSettings],
    prefetch: Sequence[PrefetchSettings],
    availability: Sequence[AvailabilitySettings],
    peers: Collection[str],
) -> None:
    """Raise `ValueError` for names that are used twice or lead nowhere; `peers` are those with a host."""
    tables: dict[str, Sequence[DestinationSettings | RouteSettings | PrefetchSettings | AvailabilitySettings]]
    tables = {
        "destinations": destinations,
        "routes": routes,
        "prefetch": prefetch,
        "availability": availability,
    }
    for kind, named in tables.items():
        names = [each.name for each in named]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"{kind}: there are two called {twice}")
    known = {each.name for each in destinations}
    for route in routes:
        for name in route.to:
            if name not in known:
                raise ValueError(f"routes: {route.name}: {name} is none of [[destinations]]")
    asked = [("destinations", each.name, each.peer) for each in destinations if each.peer]
    asked += [("prefetch", each.name, each.peer) for each in prefetch]
    asked += [("availability", each.name, each.peer) for each in availability]
    for kind, name, peer in asked:
        if peer not in peers:
            raise ValueError(f"{kind}: {name}: {peer} is none of [[node.peers]] that has a host")
