"""The names of pynetdicom that the receive path leans on, private or not; it is pinned because of them."""

import inspect
import threading
import time

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, fsm
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler

from dicom_node import receive
from dicom_node.receive import StoreProvider
from dicom_node.requestor import Requestor

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def assoc():
    return Association(AE("TEST"), MODE_ACCEPTOR)


@pytest.mark.parametrize(
    "name",
    [
        "_accepted_cx",
        "_is_paused",
        "_kill",
        "_reactor_checkpoint",
        "_run_reactor",
        "_serve_request",
        "accepted_contexts",
        "is_aborted",
    ],
)
def test_association_has(assoc, name):
    assert hasattr(assoc, name)


PROVIDER = ("socket", "event_queue", "to_provider_queue", "to_user_queue", "artim_timer", "_idle_timer")
PROVIDER_TOO = ("_recv_pdu", "_run_loop_delay", "_kill_thread", "state_machine")


@pytest.mark.parametrize("name", [*PROVIDER, *PROVIDER_TOO])
def test_service_provider_has(assoc, name):
    assert hasattr(assoc.dul, name)


@pytest.mark.parametrize(
    "name",
    [
        "run_reactor",
        "kill_dul",
        "stop_dul",
        "idle_timer_expired",
        "_is_transport_event",
        "_decode_pdu",
        "_send",
    ],
)
def test_service_provider_does(name):
    assert callable(getattr(DULServiceProvider, name))


@pytest.mark.parametrize("name", ["_is_transport_event", "idle_timer_expired"])
def test_service_provider_asks_what_we_answer(name):
    callers = inspect.getsource(DULServiceProvider.run_reactor) + inspect.getsource(Association._run_reactor)
    assert f"{name}()" in callers


def test_association_thread_runs_what_we_replace():
    assert "self._run_reactor()" in inspect.getsource(Association.run_reactor)


def test_connection_makes_its_association_in_one_place():
    assert "self._create_association()" in inspect.getsource(RequestHandler.handle)


def test_sockets_find_their_queues_through_the_provider():
    assert "assoc.dul.event_queue" in inspect.getsource(AssociationSocket.event_queue.fget)


def test_only_accepting_wraps_a_connection_in_tls():
    assert "wrap_socket" in inspect.getsource(AssociationServer.get_request)


def test_states_and_events_mean_what_they_did():
    assert fsm.STATES[receive._ESTABLISHED].startswith("Association established")
    assert fsm.STATES[receive._AWAITING_CLOSE].startswith("Awaiting Transport Connection Close")
    actions = {event: fsm.TRANSITION_TABLE[event, "Sta6"] for event in ("Evt12", "Evt16", "Evt17", "Evt19")}
    assert actions == {"Evt12": "AR-2", "Evt16": "AA-3", "Evt17": "AA-4", "Evt19": "AA-8"}


def test_pynetdicom_decides_first_what_it_sends_and_then_what_it_reads():
    source = inspect.getsource(DULServiceProvider.run_reactor)
    assert source.index("_process_recv_primitive") < source.index("_is_transport_event")


def test_idle_association_waits_instead_of_polling(port, monkeypatch):
    rounds = []
    original = StoreProvider._is_transport_event

    def counted(self):
        rounds.append(self)
        return original(self)

    monkeypatch.setattr(StoreProvider, "_is_transport_event", counted)
    with Requestor(("127.0.0.1", port), "ISOCENTER", "TEST", [(CT, ExplicitVRLittleEndian)]):
        before = len(rounds)
        time.sleep(0.5)
        assert len(rounds) - before <= 3


def test_ended_associations_leave_no_thread(port):
    before = set(threading.enumerate())
    for _ in range(3):
        Requestor(("127.0.0.1", port), "ISOCENTER", "TEST", [(CT, ExplicitVRLittleEndian)]).release()
    deadline = time.monotonic() + 20
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
