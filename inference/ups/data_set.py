"""A work item as the data set of a Unified Procedure Step (PS3.3 B.26, PS3.4 table CC.2.5-3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.inputs import Inputs, SeriesInput
from inference.ups.elements import Attributes, code, element, first, moment, sequence
from inference.workitems import Performer, State, WorkItem
from storage.instances import StoredInstance

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
WORKLIST_LABEL = "Isocenter"

SOP_CLASS, SOP_INSTANCE, TRANSACTION_UID = "00080016", "00080018", "00081195"
STATE, PRIORITY, PROGRESS_INFORMATION = "00741000", "00741200", "00741002"
LABEL, WORKLIST, READINESS, START = "00741204", "00741202", "00404041", "00404005"
MODIFIED, PERFORMED, OUTPUT, INPUT = "00404010", "00741216", "00404033", "00404021"
PATIENT_ID, STUDY = "00100020", "0020000D"
STATIONS, PERFORMERS = "00404025", "00404034"
CANCELED_AT, CANCEL_REASON, DISCONTINUED = "00404052", "00741238", "0074100E"
PROGRESS, PROGRESS_NOTE = "00741004", "00741006"

_WORKITEM = code("110001", "DCM", "Image Processing")
_UNSPECIFIED = code("110513", "DCM", "Discontinued for unspecified reason")
_SUBJECT_TAGS = ("00080050", "00100010", "00100020", "00100021", "00100030", "00100040")


@dataclass(frozen=True, slots=True)
class Access:
    """Where others get what a procedure step refers to."""

    aet: str = ""
    """AE title of our node; empty when there is none."""
    dicomweb: str = ""
    """Address of our DICOMweb service; empty when it is not known."""


def subject_of(header: Mapping[str, Any]) -> Attributes:
    """What a procedure step says of the patient, from the header of an image."""
    return {tag: dict(header[tag]) for tag in _SUBJECT_TAGS if tag in header}


def data_set(
    item: WorkItem,
    access: Access,
    inputs: Inputs | None = None,
    results: Sequence[StoredInstance] = (),
) -> Attributes:
    """The data set that others see; Transaction UID is never part of it (PS3.4 CC.2.7.3).

    Args:
        item: the work item; what others have said of it takes precedence over what we would.
        access: where its images are.
        inputs: its images, for the whole Input Information Sequence, with an item for each series; without
            them study and series of the first only.
        results: what our own worker has stored.
    """
    made = _of_model(item, access, inputs) if item.model.name else {}
    if item.performer is Performer.WORKER and item.started_at is not None:
        made[PERFORMED] = sequence(_performed(item, access, results))
    whole = made | dict(item.attributes) | _of_state(item)
    return dict(sorted(whole.items()))


def _of_state(item: WorkItem) -> Attributes:
    """What only the work list knows for sure."""
    return {
        SOP_CLASS: element("UI", UPS_PUSH),
        SOP_INSTANCE: element("UI", item.uid),
        STATE: element("CS", item.state.value),
        PRIORITY: element("CS", item.priority.name),
        **_progress(item),
    }


def _progress(item: WorkItem) -> Attributes:
    if item.performer is not Performer.WORKER or item.started_at is None:
        return {} if PROGRESS_INFORMATION in item.attributes else {PROGRESS_INFORMATION: element("SQ")}
    return {PROGRESS_INFORMATION: sequence(progress_information(item))}


def progress_information(item: WorkItem) -> Attributes:
    """An item of the Procedure Step Progress Information Sequence (0074,1002) for our own work."""
    told = {PROGRESS: element("DS", item.progress)}
    if item.progress_note:
        told[PROGRESS_NOTE] = element("ST", item.progress_note[:1024])
    if item.state is State.CANCELED and item.finished_at is not None:
        told |= canceled(item.reason) | {CANCELED_AT: moment(item.finished_at)}
    return told


def canceled(reason: str) -> Attributes:
    """What a step that was canceled says of why."""
    told = {DISCONTINUED: sequence(_UNSPECIFIED)}
    return told | ({CANCEL_REASON: element("LT", reason[:10240])} if reason else {})


def _of_model(item: WorkItem, access: Access, inputs: Inputs | None) -> Attributes:
    accession = first(item.attributes, "00080050")
    request = {STUDY: element("UI", item.study), "00080050": element("SH", *filter(None, [accession]))}
    return {
        "00380010": element("LO"),
        STUDY: element("UI", item.study),
        LABEL: element("LO", item.label[:64]),
        WORKLIST: element("LO", WORKLIST_LABEL),
        START: moment(item.due_at),
        MODIFIED: moment(item.created_at),
        READINESS: element("CS", item.readiness),
        "00404018": sequence(_WORKITEM),
        STATIONS: sequence(_station(item)),
        "0040A370": sequence(request),
        "00741210": sequence(*_parameters(item)),
        INPUT: sequence(*(_input(access, part) for part in _parts(item, inputs))),
        PERFORMED: element("SQ"),
    }


def _station(item: WorkItem) -> Attributes:
    """The model as the performing station: what an outside engine finds its work by."""
    return code(item.model.name, "99ISOCENTER", item.model.name)


def _parameters(item: WorkItem) -> list[Attributes]:
    """Content items (PS3.3 10.2.1) that pin the model."""
    named = (
        (code("111001", "DCM", "Algorithm Name"), item.model.name),
        (code("111003", "DCM", "Algorithm Version"), item.model.version),
        (code("111002", "DCM", "Algorithm Parameters"), item.model.card_digest),
    )
    return [
        {"0040A040": element("CS", "TEXT"), "0040A043": sequence(name), "0040A160": element("UT", value)}
        for name, value in named
    ]


def _parts(item: WorkItem, inputs: Inputs | None) -> Sequence[SeriesInput]:
    return inputs.parts if inputs is not None else [SeriesInput(item.study, item.series, ())]


def _input(access: Access, part: SeriesInput) -> Attributes:
    told = {
        STUDY: element("UI", part.study),
        "0020000E": element("UI", part.series),
        "0040E020": element("CS", "DICOM"),
        **_retrieval(access, part.study, part.series),
    }
    if part.sops:
        referenced = zip(part.sops, part.sop_classes or ("",) * len(part.sops), strict=True)
        told["00081199"] = sequence(*(_referenced(sop_class, sop) for sop, sop_class in referenced))
    return told


def _retrieval(access: Access, study: str, series: str) -> Attributes:
    told: Attributes = {}
    if access.aet:
        told["0040E021"] = sequence({"00080054": element("AE", access.aet)})
    if access.dicomweb:
        url = f"{access.dicomweb}/studies/{study}/series/{series}"
        told["0040E025"] = sequence({"00081190": element("UR", url)})
    return told


def _referenced(sop_class: str, sop: str) -> Attributes:
    return {"00081150": element("UI", *filter(None, [sop_class])), "00081155": element("UI", sop)}


def _performed(item: WorkItem, access: Access, results: Sequence[StoredInstance]) -> Attributes:
    told = {
        "00404028": sequence(_station(item)),
        "00404019": sequence(_WORKITEM),
        "00741212": sequence(*_parameters(item)),
        "00404050": moment(item.started_at or item.created_at),
        OUTPUT: sequence(*(_output(result, access) for result in results)),
    }
    return told | ({"00404051": moment(item.finished_at)} if item.finished_at else {})


def _output(result: StoredInstance, access: Access) -> Attributes:
    key = result.key
    return {
        STUDY: element("UI", key.study),
        "0020000E": element("UI", key.series),
        "0040E020": element("CS", "DICOM"),
        "00081199": sequence(_referenced(result.sop_class, key.sop)),
        **_retrieval(access, key.study, key.series),
    }
