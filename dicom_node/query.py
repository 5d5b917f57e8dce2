"""Query and retrieval as an SCP: requests to responses, whatever happens meanwhile."""

import logging
from typing import Any

from pynetdicom.dimse_primitives import C_FIND

from dicom_node import command
from dicom_node.channel import Channel, PeerGone
from dicom_node.contexts import QUERY_CLASSES, QueryClass
from dicom_node.find import Find, WrongLevel
from dicom_node.identifier import Identifier, read_identifier, write_identifier
from dicom_node.status import (
    CANCELLED,
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    FIND_FAILURES,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    Answer,
)
from storage.archive import Archive
from storage.errors import StorageError

log = logging.getLogger(__name__)

_FUZZY = 2
"""Byte of the application information in which fuzzy matching is asked for (PS3.4 C.5.1.1.1)."""


class Request:
    """A request over one presentation context, and how it is answered."""

    def __init__(self, channel: Channel, primitive: Any, context_id: int, transfer_syntax: str) -> None:
        self.channel = channel
        self.message_id: int = primitive.MessageID
        self.sop_class = str(primitive.AffectedSOPClassUID)
        self.priority: int = primitive.Priority or 0
        self._data = primitive.Identifier
        self._context_id = context_id
        self._transfer_syntax = transfer_syntax

    @property
    def cancelled(self) -> bool:
        """The peer has had enough."""
        return self.channel.cancelled(self.message_id)

    def identifier(self) -> Identifier:
        """What is asked for. Raises `InvalidInstance`."""
        return read_identifier(self._data.getvalue() if self._data else b"", self._transfer_syntax)

    def respond(
        self,
        field: int,
        answer: Answer,
        identifier: dict[str, Any] | None = None,
        *,
        charset: tuple[str, ...] = (),
        counts: command.Counts | None = None,
    ) -> None:
        """Send a response. Raises `PeerGone`."""
        told = identifier is not None
        rsp = command.query_rsp(
            field, self.message_id, self.sop_class, answer, identifier=told, counts=counts
        )
        data_set = [write_identifier(identifier, self._transfer_syntax, charset)] if identifier else None
        self.channel.send(self._context_id, rsp, data_set=data_set)


class Queries:
    """Serves the requests of one association."""

    def __init__(self, archive: Archive, aet: str, channel: Channel) -> None:
        self._archive = archive
        self._aet = aet
        self._channel = channel

    def takes(self, primitive: Any) -> bool:
        """It is a request that is served here."""
        return isinstance(primitive, C_FIND) and primitive.is_valid_request

    def serve(self, primitive: Any, context_id: int, context: Any) -> None:
        """Answer one request to its end; nothing is raised for what the peer or the archive does."""
        request = Request(self._channel, primitive, context_id, str(context.transfer_syntax[0]))
        self._channel.busy = True
        try:
            self._find(request, QUERY_CLASSES.get(request.sop_class))
        except PeerGone as error:
            log.warning("%s: query unfinished: %s", self._channel.peer, error)
            self._channel.abort()
        finally:
            self._channel.busy = False
            self._channel.forget_cancel(request.message_id)

    def _find(self, request: Request, model: QueryClass | None) -> None:
        if model is None or model.service != "find":
            last = Answer(SOP_CLASS_NOT_SUPPORTED, f"{request.sop_class} is not searched")
        else:
            last = self._answered(request, model)
        if last.reason:
            log.warning("%s: C-FIND fails with 0x%04X: %s", self._channel.peer, last.status, last.reason)
        request.respond(command.C_FIND_RSP, last)

    def _answered(self, request: Request, model: QueryClass) -> Answer:
        """Send all answers; what the last response says."""
        try:
            identifier = request.identifier()
            fuzzy = self._fuzzy(request.sop_class)
            search = Find(self._archive, self._aet, model, identifier, fuzzy=fuzzy)
            for each in search.answers():
                if request.cancelled:
                    return Answer(CANCELLED)
                pending = Answer(search.pending)
                request.respond(command.C_FIND_RSP, pending, each, charset=identifier.charset)
        except WrongLevel as error:
            return Answer(DATA_SET_DOES_NOT_MATCH, str(error))
        except StorageError as error:
            return Answer(FIND_FAILURES[type(error)], str(error))
        except PeerGone:
            raise
        except Exception:
            log.exception("C-FIND of %s", self._channel.peer)
            return Answer(CANNOT_UNDERSTAND, "internal error")
        return Answer(SUCCESS)

    def _fuzzy(self, sop_class: str) -> bool:
        asked = self._channel.extended_negotiation().get(sop_class, b"")
        return len(asked) > _FUZZY and bool(asked[_FUZZY])


def negotiated(asked: dict[str, bytes]) -> dict[str, bytes]:
    """What of the extended negotiation of queries and retrievals we agree to (PS3.4 C.5.1.1).

    Relational queries always, fuzzy matching where it is asked for; not combined date-time matching, time
    zone adjustment, nor the views on enhanced multi-frame images.
    """
    agreed = {}
    for uid, wanted in asked.items():
        if uid in QUERY_CLASSES and wanted:
            service = QUERY_CLASSES[uid].service
            known = bytes((1, 0, wanted[_FUZZY] and 1 if len(wanted) > _FUZZY else 0))
            agreed[uid] = (known if service == "find" else b"\1")[: len(wanted)].ljust(len(wanted), b"\0")
    return agreed
