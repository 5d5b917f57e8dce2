"""Query and retrieval as an SCP: requests to responses, whatever happens meanwhile."""

import logging
from collections.abc import Sequence
from typing import Any

from pynetdicom.dimse_primitives import C_FIND, C_GET, C_MOVE

from dicom_node import command
from dicom_node.channel import Channel, PeerGone
from dicom_node.contexts import QUERY_CLASSES, QueryClass
from dicom_node.find import Find, WrongLevel
from dicom_node.identifier import Identifier
from dicom_node.negotiation import COMBINED, FUZZY
from dicom_node.request import Request
from dicom_node.retrieve import Retrieval
from dicom_node.status import (
    CANCELLED,
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    FIND_FAILURES,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    Answer,
)
from dicom_node.worklist import Worklist, WorklistSearch
from storage.archive import Archive
from storage.errors import StorageError

log = logging.getLogger(__name__)

_SERVICES = {
    C_FIND: ("find", command.C_FIND_RSP),
    C_GET: ("get", command.C_GET_RSP),
    C_MOVE: ("move", command.C_MOVE_RSP),
}


class Queries:
    """Serves the requests of one association."""

    def __init__(
        self,
        archive: Archive,
        aet: str,
        channel: Channel,
        retrieval: Retrieval,
        worklists: Sequence[Worklist] = (),
        *,
        rejected: bool = False,
    ) -> None:
        self._rejected = rejected
        self._archive = archive
        self._retrieval = retrieval
        self._aet = aet
        self._channel = channel
        self._worklists = {each.sop_class: each for each in worklists}

    def takes(self, primitive: Any) -> bool:
        """It is a request that is served here."""
        return isinstance(primitive, C_FIND | C_GET | C_MOVE) and bool(primitive.is_valid_request)

    def serve(self, primitive: Any, context_id: int, context: Any) -> None:
        """Answer one request to its end. Raises `PeerGone`."""
        request = Request(self._channel, primitive, context_id, str(context.transfer_syntax[0]))
        try:
            self._serve(request, primitive)
        finally:
            self._channel.forget_cancel(request.message_id)

    def _serve(self, request: Request, primitive: Any) -> None:
        model = QUERY_CLASSES.get(request.sop_class)
        service, field = _SERVICES[type(primitive)]
        if service == "find" and request.sop_class in self._worklists:
            self._find(request, None)
        elif model is None or model.service != service:
            reason = f"{request.sop_class} has no C-{service.upper()}"
            request.respond(field, Answer(SOP_CLASS_NOT_SUPPORTED, reason))
        elif service == "find":
            self._find(request, model)
        elif service == "get":
            self._retrieval.get(request, model)
        else:
            self._retrieval.move(request, model, str(primitive.MoveDestination).strip())

    def _find(self, request: Request, model: QueryClass | None) -> None:
        last = self._answered(request, model)
        how = logging.WARNING if last.reason else logging.INFO
        log.log(how, "%s: C-FIND ends with 0x%04X %s", self._channel.peer, last.status, last.reason)
        request.respond(command.C_FIND_RSP, last)

    def _answered(self, request: Request, model: QueryClass | None) -> Answer:
        """Send all answers; what the last response says."""
        try:
            identifier = request.identifier()
            search = self._search(request.sop_class, model, identifier)
            if not request.respond_with(search.pending, search.answers(), identifier.charset):
                return Answer(CANCELLED)
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

    def _search(
        self, sop_class: str, model: QueryClass | None, identifier: Identifier
    ) -> Find | WorklistSearch:
        fuzzy = self._asked_for(FUZZY, sop_class)
        if model is None:
            return self._worklists[sop_class].search(identifier, fuzzy=fuzzy)
        combined = self._asked_for(COMBINED, sop_class)
        return Find(
            self._archive,
            self._aet,
            model,
            identifier,
            fuzzy=fuzzy,
            combined=combined,
            rejected=self._rejected,
        )

    def _asked_for(self, byte: int, sop_class: str) -> bool:
        asked = self._channel.extended_negotiation().get(sop_class, b"")
        return len(asked) > byte and bool(asked[byte])
