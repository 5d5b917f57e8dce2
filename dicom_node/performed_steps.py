"""Modality Performed Procedure Step as an SCP (PS3.4 F.7, F.8): N-CREATE, N-SET, N-GET."""

import logging
import uuid
from collections.abc import Mapping

from dicom_node.identifier import Attributes, empty
from dicom_node.normalized import NormalizedRequest, Unsuccessful
from dicom_node.status import (
    ATTRIBUTE_LIST_ERROR,
    DUPLICATE_SOP_INSTANCE,
    INVALID_ATTRIBUTE_VALUE,
    MISSING_ATTRIBUTE,
    MISSING_ATTRIBUTE_VALUE,
    NO_SUCH_SOP_INSTANCE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    Answer,
)
from storage.instances import checked_uid
from storage.performed import (
    FINAL,
    STATUS,
    MissingAttribute,
    MissingValue,
    PerformedStep,
    WrongValue,
    changed,
    started,
)
from storage.sql.performed_steps import SqlPerformedSteps

log = logging.getLogger(__name__)

PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
PERFORMED_STEP_RETRIEVE = "1.2.840.10008.3.1.2.3.4"
MAY_NO_LONGER_BE_UPDATED = 0xA710
"""Error ID (PS3.4 F.7.2.2.4)."""
_TRIES = 5
_CHARSET = "00080005"


class PerformedSteps:
    """Keeps what modalities say they do."""

    sop_classes: Mapping[str, str] = {
        PERFORMED_STEP: "Modality Performed Procedure Step",
        PERFORMED_STEP_RETRIEVE: "Modality Performed Procedure Step Retrieve",
    }

    def __init__(self, steps: SqlPerformedSteps) -> None:
        self._steps = steps

    def serve(self, request: NormalizedRequest) -> None:
        """Respond; raises as `NormalizedService.serve`."""
        operations = {
            (PERFORMED_STEP, "N-CREATE"): self._create,
            (PERFORMED_STEP, "N-SET"): self._set,
            (PERFORMED_STEP_RETRIEVE, "N-GET"): self._get,
        }
        serve = operations.get((request.sop_class, request.operation))
        if serve is None:
            reason = f"{request.operation} is no operation of {self.sop_classes[request.sop_class]}"
            raise Unsuccessful(Answer(UNRECOGNIZED_OPERATION, reason))
        try:
            serve(request)
        except MissingAttribute as error:
            status = MISSING_ATTRIBUTE_VALUE if isinstance(error, MissingValue) else MISSING_ATTRIBUTE
            raise Unsuccessful(Answer(status, str(error), attributes=error.tags)) from error
        except WrongValue as error:
            raise Unsuccessful(Answer(INVALID_ATTRIBUTE_VALUE, str(error), attributes=(STATUS,))) from error

    def _create(self, request: NormalizedRequest) -> None:
        sop = request.sop or f"2.25.{uuid.uuid4().int}"
        checked_uid(sop, "AffectedSOPInstanceUID")
        step = started(sop, _without_charset(request), request.channel.peer)
        if not self._steps.create(step):
            raise Unsuccessful(Answer(DUPLICATE_SOP_INSTANCE, f"there is a step {sop}"))
        log.info("%s has started %s", step.peer, sop)
        request.respond(Answer(SUCCESS), sop=sop)

    def _set(self, request: NormalizedRequest) -> None:
        changes = _without_charset(request)
        for _ in range(_TRIES):
            step = self._known(request)
            if step.state in FINAL:
                raise Unsuccessful(
                    Answer(
                        PROCESSING_FAILURE,
                        "Performed Procedure Step Object may no longer be updated",
                        error_id=MAY_NO_LONGER_BE_UPDATED,
                    )
                )
            after, left = changed(step, changes)
            if self._steps.replace(after):
                log.info("%s: %s is %s", after.peer, after.sop, after.state)
                request.respond(
                    Answer(ATTRIBUTE_LIST_ERROR, f"left as they are: {', '.join(left)}", attributes=left)
                    if left
                    else Answer(SUCCESS)
                )
                return
        raise Unsuccessful(Answer(RESOURCE_LIMITATION, "the step is being changed by others"))

    def _get(self, request: NormalizedRequest) -> None:
        there = self._known(request).attributes
        request.respond(
            Answer(SUCCESS), {tag: there.get(tag, empty(tag)) for tag in request.asked} or dict(there)
        )

    def _known(self, request: NormalizedRequest) -> PerformedStep:
        step = self._steps.get(request.sop)
        if step is None:
            raise Unsuccessful(Answer(NO_SUCH_SOP_INSTANCE, f"there is no step {request.sop}"))
        return step


def _without_charset(request: NormalizedRequest) -> Attributes:
    """The attributes of the request; text is in Unicode by now."""
    attributes = request.data_set().attributes
    return {tag: element for tag, element in attributes.items() if tag != _CHARSET}
