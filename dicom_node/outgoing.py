"""An instance on its way out: opened, and converted where it must be, before it is its turn to be sent."""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Protocol, Self

from dicom_node.fragments import Buffer
from dicom_node.requestor import Proposal
from dicom_node.status import PROCESSING_FAILURE, Answer
from dicom_node.suboperations import Unsendable, data_set, form, reason
from storage.archive import Archive
from storage.errors import StorageError
from storage.instances import StoredInstance
from storage.spool import Spool


class Destination(Protocol):
    """Where sub-operations go."""

    def accepts(self, proposal: Proposal) -> bool:
        """The SOP class in the transfer syntax."""

    def store(self, proposal: Proposal, sop: str, dataset: Iterable[Buffer]) -> Callable[[], Answer]:
        """Send a C-STORE; what is returned waits for the answer.

        What `dataset` raises ends the association, and so does `AssociationFailed`.
        """


class Outgoing:
    """What is sent of one instance; a context manager that lets go of it."""

    def __init__(
        self, archive: Archive, spool: Spool, instance: StoredInstance, destination: Destination
    ) -> None:
        """Open it; what cannot be read or converted fails when it is sent."""
        self._destination = destination
        self._sop = instance.key.sop
        self._failure: Answer | None = None
        self._open = ExitStack()
        try:
            self._proposal = form(instance, destination.accepts)
            self._chunks = self._open.enter_context(data_set(archive, spool, instance, self._proposal[1]))
        except (StorageError, Unsendable) as error:
            self._failure = Answer(PROCESSING_FAILURE, reason(error))

    def send(self) -> Callable[[], Answer]:
        """Send it; what is returned waits for the answer. Raises as `Destination.store`."""
        failure = self._failure
        if failure:
            return lambda: failure
        return self._destination.store(self._proposal, self._sop, self._chunks)

    def close(self) -> None:
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Line:
    """Instances that wait to be sent, the next of which may be opened ahead; a context manager."""

    def __init__(
        self, archive: Archive, spool: Spool, waiting: deque[StoredInstance], destination: Destination
    ) -> None:
        """Instances are taken from `waiting` as it is their turn."""
        self._waiting = waiting
        self._opened = partial(Outgoing, archive, spool, destination=destination)
        self._next: Outgoing | None = None

    def read_ahead(self) -> None:
        """Open what is next, if there is something."""
        if self._waiting and self._next is None:
            self._next = self._opened(self._waiting[0])

    def take(self) -> tuple[StoredInstance, Outgoing]:
        """The next one, which does not wait any more."""
        outgoing = self._next or self._opened(self._waiting[0])
        self._next = None
        return self._waiting.popleft(), outgoing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._next:
            self._next.close()
