"""What asks a node for instances, and keeps what comes."""

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context, build_role

CT = "1.2.840.10008.5.1.4.1.1.2"
PATIENT_GET, STUDY_GET = "1.2.840.10008.5.1.4.1.2.1.3", "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_MOVE, STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.2.2"
NOT_CANCELLED = 10**6


def keys(level, **values):
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def bytes_in(archive, sop):
    instance = archive.instance(sop)
    return b"".join(archive.stream(instance, archive.dataset_offset(instance)))


class Got:
    """What a retrieval brought: the data sets by SOP Instance UID, and the responses."""

    def __init__(self, answer=0x0000):
        self.sets, self.syntaxes, self.requests, self.responses = {}, {}, [], []
        self.answer = answer

    def take(self, event):
        request = event.request
        self.requests.append(request)
        self.sets[request.AffectedSOPInstanceUID] = request.DataSet.getvalue()
        self.syntaxes[request.AffectedSOPInstanceUID] = event.context.transfer_syntax
        return self.answer

    @property
    def last(self):
        return self.responses[-1][0]


def get(
    port,
    identifier,
    contexts=((CT, ExplicitVRLittleEndian),),
    model=STUDY_GET,
    *,
    cancel=NOT_CANCELLED,
    answer=0,
):
    got = Got(answer)
    entity = AE("TEST")
    entity.maximum_pdu_size = 0
    entity.add_requested_context(model, ExplicitVRLittleEndian)
    # One context for each transfer syntax, also of the same class.
    proposed = [build_context(sop_class, [syntax]) for sop_class, syntax in contexts]
    entity.requested_contexts = [*entity.requested_contexts, *proposed]
    roles = [build_role(sop_class, scp_role=True) for sop_class in {sop_class for sop_class, _ in contexts}]
    assoc = entity.associate(
        "127.0.0.1", port, ae_title="ISOCENTER", ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, got.take)]
    )
    assert assoc.is_established
    for status, failed in assoc.send_c_get(identifier, model, msg_id=5):
        got.responses.append((status, failed))
        if len(got.responses) == cancel:
            assoc.send_c_cancel(5, query_model=model)
    assoc.release()
    return got


def assert_told(pending, total):
    """Of the first sub-operation unless it is the last, and of others in order, though not of each."""
    steps = [(total - done, done, 0, 0) for done in range(1, total)]
    assert pending[:1] == steps[:1]
    assert pending == sorted(set(pending) & set(steps), reverse=True)


def counts(status):
    names = ("Remaining", "Completed", "Failed", "Warning")
    return tuple(status.get(f"NumberOf{name}Suboperations") for name in names)


ALL = [f"1.2.3.{series}.{number}" for series in (1, 2) for number in (1, 2)]
LEVELS = [
    (PATIENT_GET, keys("PATIENT", PatientID="DN-1"), ALL),
    (PATIENT_GET, keys("STUDY", PatientID="DN-1", StudyInstanceUID="1.2.3"), ALL),
    (STUDY_GET, keys("STUDY", StudyInstanceUID="1.2.3"), ALL),
    (STUDY_GET, keys("SERIES", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.2"), ALL[2:]),
    (STUDY_GET, keys("SERIES", SeriesInstanceUID=["1.2.3.1", "1.2.3.2"]), ALL),
    (STUDY_GET, keys("IMAGE", StudyInstanceUID="1.2.3", SOPInstanceUID=["1.2.3.1.2", "1.2.3.2.1"]), ALL[1:3]),
    (STUDY_GET, keys("IMAGE", SeriesInstanceUID="1.2.3.1", SOPInstanceUID=ALL), ALL[:2]),
    (STUDY_GET, keys("STUDY", StudyInstanceUID="9.9"), []),
]


def move(port, identifier, destination="SINK", model=STUDY_MOVE, cancel=NOT_CANCELLED):
    entity = AE("MOVER")
    entity.add_requested_context(model, ImplicitVRLittleEndian)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    responses = []
    for status, failed in assoc.send_c_move(identifier, destination, model, msg_id=11, priority=1):
        responses.append((status, failed))
        if len(responses) == cancel:
            assoc.send_c_cancel(11, query_model=model)
    assoc.release()
    return responses


def read(data, syntax):
    file_like = pydicom.filebase.DicomBytesIO(data)
    return pydicom.filereader.read_dataset(file_like, syntax.is_implicit_VR, syntax.is_little_endian)
