"""Tells a peer which instances of a study are here (Instance Availability Notification, PS3.4 R)."""

import threading
from collections.abc import Callable, Sequence

from dicom_node.availability import Announced, notification
from dicom_node.identifier import Attributes
from storage.archive import Archive
from storage.errors import UnknownInstance
from storage.sql.performed_steps import SqlPerformedSteps


class Announcer:
    """Announces by one rule: a `Runner`."""

    def __init__(
        self,
        archive: Archive,
        performed: SqlPerformedSteps,
        aet: str,
        announce: Callable[[Sequence[Attributes]], None],
    ) -> None:
        """Take what is needed.

        Args:
            archive: ours.
            performed: which series were made in which performed procedure step.
            aet: our AE title.
            announce: tells the peer; raises `AssociationFailed`.
        """
        self._archive = archive
        self._performed = performed
        self._aet = aet
        self._announce = announce

    def run(self, study: str, go_on: Callable[[], None], stopped: threading.Event) -> int:  # noqa: ARG002 - one step
        """Tell of all that is stored of a study; how many instances these are."""
        try:
            stored = self._archive.instances(study, rejected=True)
        except UnknownInstance:
            return 0  # not here yet, or not any more
        # A notification refers to one performed procedure step at most (PS3.3 C.4.23).
        steps = self._performed.of_series(sorted({each.key.series for each in stored}))
        rejected = self._archive.rejected([each.key.sop for each in stored])
        by_step: dict[str, list[Announced]] = {}
        for each in stored:
            some = by_step.setdefault(steps.get(each.key.series, ""), [])
            some.append((each, "UNAVAILABLE" if each.key.sop in rejected else "ONLINE"))
        self._announce([notification(self._aet, study, some, step) for step, some in by_step.items()])
        return len(stored)
