"""Unified Procedure Steps as an SCP (PS3.4 CC): Push, Pull, Watch and Query over one list of steps."""

from collections.abc import Callable, Iterator, Mapping

from dicom_node.identifier import Attributes, Identifier
from dicom_node.normalized import NormalizedRequest, Operation, Unsuccessful
from dicom_node.status import NO_SUCH_ACTION, SUCCESS, UNRECOGNIZED_OPERATION, Answer
from dicom_node.worklist import Worklist
from storage.procedure_steps import DIMSE, ProcedureSteps, Reply

PUSH = "1.2.840.10008.5.1.4.34.6.1"
WATCH = "1.2.840.10008.5.1.4.34.6.2"
PULL = "1.2.840.10008.5.1.4.34.6.3"
EVENT = "1.2.840.10008.5.1.4.34.6.4"
QUERY = "1.2.840.10008.5.1.4.34.6.5"
FILTERED = "1.2.840.10008.5.1.4.34.5.1"

UNKNOWN_STEP = 0xC307
SOME_ATTRIBUTES_NOT_SUPPORTED = 0x0001
"""N-GET, PS3.4 table CC.2.7-1: a warning."""

CHANGE_STATE, REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND = 1, 2, 3, 4, 5
"""Action Type IDs (CC.2.1 to CC.2.3)."""

_STATE, _TRANSACTION = "00741000", "00081195"
_RECEIVING_AE, _DELETION_LOCK = "00741234", "00741230"
_PAGE = 500

_OPERATIONS: Mapping[str, frozenset[Operation]] = {
    PUSH: frozenset({"N-CREATE", "N-ACTION", "N-GET"}),
    PULL: frozenset({"N-GET", "N-SET", "N-ACTION"}),
    WATCH: frozenset({"N-GET", "N-ACTION"}),
}
_ACTIONS: Mapping[str, frozenset[int]] = {
    PUSH: frozenset({REQUEST_CANCEL}),
    PULL: frozenset({CHANGE_STATE}),
    WATCH: frozenset({REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND}),
}
"""Tables CC.2-1 to CC.2-3."""


OTHER_SOP_CLASSES: Mapping[str, str] = {
    EVENT: "Unified Procedure Step - Event",
    QUERY: "Unified Procedure Step - Query",
}
"""That of reports, which we propose to subscribers, and that of searches alone."""


class UpsService:
    """Serves the DIMSE-N requests."""

    sop_classes: Mapping[str, str] = {
        PUSH: "Unified Procedure Step - Push",
        WATCH: "Unified Procedure Step - Watch",
        PULL: "Unified Procedure Step - Pull",
    }

    def __init__(self, steps: ProcedureSteps) -> None:
        """`steps` keeps the procedure steps."""
        self._steps = steps
        self._served: Mapping[Operation, Callable[[NormalizedRequest], None]] = {
            "N-CREATE": self._create,
            "N-GET": self._get,
            "N-SET": self._set,
            "N-ACTION": self._act,
        }
        self._actions: Mapping[int, Callable[[NormalizedRequest, Identifier], Reply]] = {
            CHANGE_STATE: self._change_state,
            REQUEST_CANCEL: self._request_cancel,
            SUBSCRIBE: self._subscribe,
            UNSUBSCRIBE: self._unsubscribe,
            SUSPEND: self._suspend,
        }

    def serve(self, request: NormalizedRequest) -> None:
        """Answer; what a SOP class does not have is refused."""
        if request.operation not in _OPERATIONS[request.abstract_syntax]:
            name = self.sop_classes[request.abstract_syntax]
            raise Unsuccessful(Answer(UNRECOGNIZED_OPERATION, f"{name} has no {request.operation}"))
        self._served[request.operation](request)

    def _create(self, request: NormalizedRequest) -> None:
        reply = self._steps.create(request.data_set().attributes, request.sop)
        request.respond(_answer(reply), sop=reply.uid)

    def _set(self, request: NormalizedRequest) -> None:
        request.respond(_answer(self._steps.update(request.sop, request.data_set().attributes)))

    def _get(self, request: NormalizedRequest) -> None:
        known = self._steps.retrieve(request.sop)
        if known is None:
            raise Unsuccessful(Answer(UNKNOWN_STEP, f"no procedure step {request.sop}"))
        told = {tag: known[tag] for tag in request.asked if tag in known} if request.asked else known
        some_lack = len(told) < len(set(request.asked))
        request.respond(Answer(SOME_ATTRIBUTES_NOT_SUPPORTED if some_lack else SUCCESS), told)

    def _act(self, request: NormalizedRequest) -> None:
        if request.action_type not in _ACTIONS[request.abstract_syntax]:
            name = self.sop_classes[request.abstract_syntax]
            raise Unsuccessful(Answer(NO_SUCH_ACTION, f"{name} has no action of type {request.action_type}"))
        reply = self._actions[request.action_type](request, request.data_set())
        request.respond(_answer(reply))

    def _change_state(self, request: NormalizedRequest, information: Identifier) -> Reply:
        state, transaction = information.text(_STATE), information.text(_TRANSACTION)
        return self._steps.change_state(request.sop, state, transaction, request.channel.peer)

    def _request_cancel(self, request: NormalizedRequest, information: Identifier) -> Reply:
        return self._steps.request_cancel(request.sop, information.attributes, request.channel.peer)

    def _subscribe(self, request: NormalizedRequest, information: Identifier) -> Reply:
        keys = {tag: key for tag, key in information.attributes.items() if tag not in _NO_KEYS}
        return self._steps.subscriptions.subscribe(
            request.sop,
            DIMSE,
            information.text(_RECEIVING_AE),
            deletion_lock=information.text(_DELETION_LOCK).strip().upper() == "TRUE",
            keys=keys if request.sop == FILTERED else None,
        )

    def _unsubscribe(self, request: NormalizedRequest, information: Identifier) -> Reply:
        return self._steps.subscriptions.unsubscribe(request.sop, DIMSE, information.text(_RECEIVING_AE))

    def _suspend(self, request: NormalizedRequest, information: Identifier) -> Reply:
        return self._steps.subscriptions.suspend(request.sop, DIMSE, information.text(_RECEIVING_AE))


_NO_KEYS = frozenset({_RECEIVING_AE, _DELETION_LOCK, "00080005"})


def _answer(reply: Reply) -> Answer:
    return Answer(reply.status, reply.comment)


def unified_worklists(steps: ProcedureSteps) -> tuple[Worklist, ...]:
    """C-FIND (CC.2.8), one for each SOP class that has it: the most urgent steps come first."""

    def found(keys: Attributes, /, *, fuzzy: bool) -> Iterator[Attributes]:  # noqa: ARG001 - names always match by their groups without case and accents
        offset = 0
        while True:
            page = steps.search(keys, limit=_PAGE, offset=offset)
            yield from page.answers
            if not page.more or not page.answers:
                return
            offset += len(page.answers)

    return tuple(Worklist(sop_class, found) for sop_class in (PULL, WATCH, QUERY))
