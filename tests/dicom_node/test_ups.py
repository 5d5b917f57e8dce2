"""Unified Procedure Steps over DIMSE: another application pushes, pulls, watches, and is told."""

import threading
import time
from contextlib import contextmanager

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)

from dicom_node.destinations import Destinations
from dicom_node.peers import Peer
from dicom_node.tls import Credentials
from dicom_node.ups import UpsService, unified_worklists
from dicom_node.ups_reports import UpsReports
from inference.ups.data_set import Access
from inference.ups.steps_sql import SqlProcedureSteps
from storage.sql.engine import connect
from tests.dicomweb.worklist import PERFORMED, STEP, progress, state

PUSH, PULL, WATCH = UnifiedProcedureStepPush, UnifiedProcedureStepPull, UnifiedProcedureStepWatch
GLOBAL, FILTERED = "1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"
UID = "1.2.9"


@pytest.fixture
def steps(archive, tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'index.sqlite'}")
    yield SqlProcedureSteps(engine, archive, Access("ISOCENTER"))
    engine.dispose()


@pytest.fixture
def node(start, steps):
    return start(services=[UpsService(steps)], worklists=unified_worklists(steps))[1]


@contextmanager
def associated(port):
    entity = AE("ENGINE")
    for sop_class in (PUSH, PULL, WATCH, UnifiedProcedureStepQuery):
        entity.add_requested_context(sop_class)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    assert len(assoc.accepted_contexts) == 4
    yield assoc
    assoc.release()


@pytest.fixture
def assoc(node):
    with associated(node) as assoc:
        yield assoc


def data_set(attributes):
    return Dataset.from_json(attributes)


@pytest.fixture
def ask(assoc):
    """Sends one request; tells the status of the answer."""

    def ask(kind, information=None, uid=UID, *, over=PULL, action=None):
        information = data_set(information) if information else None
        if kind == "create":
            answer, _ = assoc.send_n_create(information, PUSH, uid, meta_uid=over)
        elif kind == "set":
            answer, _ = assoc.send_n_set(information, PUSH, uid, meta_uid=over)
        else:
            answer, _ = assoc.send_n_action(information, action, PUSH, uid, meta_uid=over)
        return answer.Status

    return ask


def act(ask, wanted, transaction="2.25.77"):
    return ask("action", state(wanted, transaction), action=1)


def test_a_step_is_pushed_pulled_performed_and_read(assoc, ask):
    assert ask("create", STEP, over=PUSH) == 0x0000
    assert ask("create", STEP, over=PUSH) == 0x0111
    assert act(ask, "COMPLETED") == 0xC310
    assert act(ask, "IN PROGRESS", "") == 0xC301
    assert act(ask, "SCHEDULED") == 0xC303
    assert act(ask, "IN PROGRESS") == 0x0000
    assert act(ask, "IN PROGRESS") == 0xC302
    assert act(ask, "IN PROGRESS", "2.25.78") == 0xC301
    assert ask("set", progress(10)) == 0xC301
    named = {"00081195": {"vr": "UI", "Value": ["2.25.77"]}}
    assert ask("set", progress(10) | named) == 0x0000
    assert act(ask, "COMPLETED") == 0xC304
    assert ask("set", PERFORMED | named) == 0x0000
    assert act(ask, "COMPLETED") == 0x0000
    assert act(ask, "COMPLETED") == 0xB306
    assert act(ask, "CANCELED") == 0xC300
    assert ask("set", progress(20) | named) == 0xC300
    assert ask("action", over=PUSH, action=2) == 0xC311
    assert ask("action", uid="9.9", over=PUSH, action=2) == 0xC307

    answer, found = assoc.send_n_get([0x00741000, 0x00741216, 0x00081195], PUSH, UID, meta_uid=PULL)
    assert answer.Status == 0x0001  # the Transaction UID is nobody else's business
    assert found.ProcedureStepState == "COMPLETED"
    assert "TransactionUID" not in found
    output = found.UnifiedProcedureStepPerformedProcedureSequence[0].OutputInformationSequence[0]
    assert output.SeriesInstanceUID == "1.2.7"
    assert assoc.send_n_get([], PUSH, "9.9", meta_uid=WATCH)[0].Status == 0xC307


def test_a_step_that_nobody_began_is_canceled_at_once(ask, steps):
    ask("create", STEP, over=PUSH)
    reason = {"00741238": {"vr": "LT", "Value": ["wrong patient"]}}
    assert ask("action", reason, over=WATCH, action=2) == 0x0000
    assert ask("action", over=WATCH, action=2) == 0xB304
    (told,) = steps.retrieve(UID)["00741002"]["Value"]
    assert told["00741238"]["Value"] == ["wrong patient"]


def test_what_a_new_step_lacks_is_said_by_its_status(ask):
    assert ask("create", {tag: each for tag, each in STEP.items() if tag != "00741200"}, over=PUSH) == 0x0120
    assert ask("create", STEP | {"00741204": {"vr": "LO"}}, over=PUSH) == 0x0121
    assert ask("create", STEP | state("IN PROGRESS", ""), over=PUSH) == 0xC309
    assert ask("create", STEP | {"00741202": {"vr": "LO"}}, over=PUSH) == 0xB300


def test_each_sop_class_has_its_own_operations(ask):
    assert ask("create", STEP, over=WATCH) == 0x0211
    assert ask("set", progress(1), over=PUSH) == 0x0211
    assert ask("action", state("IN PROGRESS"), over=PUSH, action=1) == 0x0123


@pytest.mark.parametrize("sop_class", [PULL, WATCH, UnifiedProcedureStepQuery])
def test_steps_are_found(assoc, steps, sop_class):
    for number, label in enumerate(("Read the chest", "Read the head")):
        steps.create(STEP | {"00741204": {"vr": "LO", "Value": [label]}}, f"1.2.{number}")
    query = Dataset()
    query.ProcedureStepState = "SCHEDULED"
    query.ProcedureStepLabel = "*head"
    query.PatientName = "doe*"
    query.ScheduledProcedureStepStartDateTime = "20260101-20260131"
    query.SOPInstanceUID = ""
    answers = list(assoc.send_c_find(query, sop_class))
    assert [status.Status for status, _ in answers] == [0xFF00, 0x0000]
    found = answers[0][1]
    assert (found.SOPInstanceUID, found.PatientName) == ("1.2.1", "Doe^Jane")


def subscription(aet="WATCHER", *, lock=False, **keys):
    information = {
        "00741230": {"vr": "LO", "Value": ["TRUE" if lock else "FALSE"]},
        "00741234": {"vr": "AE", "Value": [aet]},
    }
    return information | keys


class Told:
    """A subscriber that listens, and what it hears."""

    def __init__(self):
        self.reports = []
        self._entity = AE("WATCHER")
        self._entity.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)

    def _hear(self, event):
        request = event.request
        uid = str(request.AffectedSOPInstanceUID)
        self.reports.append((uid, event.event_type, event.event_information.get("ProcedureStepState", "")))
        assert request.AffectedSOPClassUID == PUSH
        return 0x0000, None

    @contextmanager
    def listening(self):
        handlers = [(evt.EVT_N_EVENT_REPORT, self._hear)]
        server = self._entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        yield server.server_address[1]
        server.shutdown()


def test_a_watcher_is_told_on_an_association_of_its_own(ask, steps):
    ask("create", STEP, over=PUSH)
    assert ask("action", subscription(), over=WATCH, action=3) == 0x0000
    assert ask("action", subscription(), uid="9.9", over=WATCH, action=3) == 0xC307
    assert ask("action", subscription(""), over=WATCH, action=3) == 0x0121
    act(ask, "IN PROGRESS")
    told = Told()
    with told.listening() as port:
        known = Destinations([Peer("WATCHER", "127.0.0.1", port)], "ISOCENTER", Credentials())
        UpsReports(steps.reports, lambda: known).tell("WATCHER", threading.Event())
    assert told.reports == [(UID, 1, "SCHEDULED"), (UID, 1, "IN PROGRESS")]
    assert steps.reports.receivers("dimse") == []


def test_reports_wait_until_the_watcher_listens(ask, steps):
    assert ask("action", subscription(), uid=GLOBAL, over=WATCH, action=3) == 0x0000
    patient = {"00100020": {"vr": "LO", "Value": ["P2"]}}
    assert ask("action", subscription("OTHER", **patient), uid=FILTERED, over=WATCH, action=3) == 0x0000
    ask("create", STEP, over=PUSH)
    known, stopped, told = [], threading.Event(), Told()
    reports = UpsReports(steps.reports, lambda: Destinations(known, "ISOCENTER", Credentials()))
    with told.listening() as port:
        known.append(Peer("WATCHER", "127.0.0.1", port))
        thread = threading.Thread(target=reports.run, args=(stopped,))
        thread.start()
        deadline = time.monotonic() + 30
        while steps.reports.receivers("dimse") and time.monotonic() < deadline:
            time.sleep(0.05)
        stopped.set()
        thread.join()
    assert told.reports == [(UID, 1, "SCHEDULED")]
    assert ask("action", subscription(), uid=GLOBAL, over=WATCH, action=5) == 0x0000
    assert ask("action", subscription(), uid=UID, over=WATCH, action=5) == 0xC314
    assert ask("action", subscription(), uid=GLOBAL, over=WATCH, action=4) == 0x0000
    ask("create", STEP, uid="1.2.10", over=PUSH)
    assert steps.reports.receivers("dimse") == []
