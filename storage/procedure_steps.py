"""What both edges ask of whoever keeps the Unified Procedure Steps (PS3.4 CC, PS3.18 11)."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Attributes = dict[str, Any]
"""A data set in the DICOM JSON Model (PS3.18 F.2)."""

DIMSE, WEB = "dimse", "web"
"""The channels by which subscribers hear."""


class Reply(Protocol):
    """The answer to one request."""

    @property
    def status(self) -> int:
        """Status (0000,0900) of PS3.4 CC.2: 0000, a warning Bxxx, or a failure."""

    @property
    def comment(self) -> str:
        """What is wrong."""

    @property
    def uid(self) -> str:
        """SOP Instance UID of a step that was created."""


class Found(Protocol):
    """What a search found."""

    @property
    def answers(self) -> Sequence[Attributes]:
        """Data sets."""

    @property
    def more(self) -> bool:
        """There were further ones."""


class Report(Protocol):
    """An event report for a subscriber (PS3.4 CC.2.4)."""

    @property
    def id(self) -> int:
        """By which it is acknowledged."""

    @property
    def uid(self) -> str:
        """SOP Instance UID of the step."""

    @property
    def event_type(self) -> int:
        """Event Type ID."""

    @property
    def attributes(self) -> Attributes:
        """The event information."""


class Subscriptions(Protocol):
    """Who hears of changes (PS3.4 CC.2.3)."""

    def subscribe(
        self, uid: str, channel: str, aet: str, *, deletion_lock: bool, keys: Attributes | None = None
    ) -> Reply: ...
    def unsubscribe(self, uid: str, channel: str, aet: str) -> Reply: ...
    def suspend(self, uid: str, channel: str, aet: str) -> Reply: ...


class Reports(Protocol):
    """What subscribers have not yet received."""

    def receivers(self, channel: str) -> Sequence[str]: ...
    def waiting(self, channel: str, aet: str, limit: int = 100) -> Sequence[Report]: ...
    def received(self, report: int) -> None: ...


class ProcedureSteps(Protocol):
    """The Unified Procedure Steps; raises `StorageDown`, and `InvalidQuery` for keys that make no sense."""

    @property
    def subscriptions(self) -> Subscriptions: ...
    @property
    def reports(self) -> Reports: ...
    def create(self, attributes: Attributes, uid: str = "") -> Reply: ...
    def retrieve(self, uid: str) -> Attributes | None: ...
    def update(self, uid: str, changes: Attributes, transaction: str = "") -> Reply: ...
    def change_state(self, uid: str, state: str, transaction: str, performer: str = "") -> Reply: ...
    def request_cancel(self, uid: str, request: Mapping[str, Any], requester: str = "") -> Reply: ...
    def search(self, identifier: Attributes, *, limit: int | None = None, offset: int = 0) -> Found: ...
