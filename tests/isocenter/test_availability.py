"""Peers are told what is here, and in which step it was made; what they tell us is kept."""

from contextlib import ExitStack, contextmanager

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from dicom_node.status import DUPLICATE_SOP_INSTANCE, INVALID_ATTRIBUTE_VALUE, MISSING_ATTRIBUTE, SUCCESS
from storage.instances import Origin
from storage.performed import changed, started
from tests.isocenter.destinations import other_isocenter
from tests.isocenter.routed import peer, routing, store
from tests.storage.builders import NOTE, STUDY, rejection_note, spooled
from tests.support.system import wait_until

SOP_CLASS = "1.2.840.10008.5.1.4.33"


def told(more=""):
    return f'[[availability]]\nname = "ris"\npeer = "RIS"\n{more}\n'


@contextmanager
def ris(port, heard, status=SUCCESS):
    """Pynetdicom's own receiver of notifications."""

    def hear(event):
        heard.append(event.attribute_list)
        return status, None

    entity = AE("RIS")
    entity.add_supported_context(SOP_CLASS)
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_CREATE, hear)])
    try:
        yield
    finally:
        server.shutdown()


def instances_of(heard):
    return {
        item.ReferencedSOPInstanceUID: (item.InstanceAvailability, item.RetrieveAETitle)
        for series in heard.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }


def test_peer_hears_of_a_study_when_it_has_come_and_of_what_it_was_made_in(tmp_path, free_port):
    heard, study, series = [], generate_uid(), generate_uid()
    with ris(free_port, heard), routing(tmp_path, peer("RIS", free_port) + told()) as services:
        uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        sops = store(services, count=3, **uids)
        wait_until(lambda: services.notices.listed(["done"]), bool, 20)
        assert heard[0].StudyInstanceUID == study
        assert instances_of(heard[0]) == dict.fromkeys(sops, ("ONLINE", "ISOCENTER"))
        assert not heard[0].ReferencedPerformedProcedureStepSequence
        step = perform(services, study, series, sops)
        wait_until(lambda: heard, lambda all_heard: len(all_heard) == 2, 20)
        (reference,) = heard[1].ReferencedPerformedProcedureStepSequence
        assert reference.ReferencedSOPInstanceUID == step
        assert set(instances_of(heard[1])) == set(sops)


def perform(services, study, series, sops):
    """A modality's step that has made the series."""

    def text(value):
        return {"vr": "LO", "Value": [value]}

    step = started(
        generate_uid(),
        {
            "00400270": {"vr": "SQ", "Value": [{"0020000D": text(study)}]},
            **dict.fromkeys(("00400253", "00400241", "00400244", "00400245", "00080060"), text("1")),
            "00400252": text("IN PROGRESS"),
        },
        "CT01",
    )
    assert services.performed.create(step)
    images = [{"00081150": text("1.2"), "00081155": text(sop)} for sop in sops]
    item = {"0020000E": text(series), "00181030": text("x"), "00081140": {"vr": "SQ", "Value": images}}
    ended = {"00400340": {"vr": "SQ", "Value": [item]}, "00400250": text("1"), "00400251": text("1")}
    after, _ = changed(step, ended | {"00400252": text("COMPLETED")})
    assert services.performed.replace(after)
    return step.sop


def test_peer_that_was_away_or_refuses_is_told_later(tmp_path, free_port):
    refused, heard = [], []
    text = peer("RIS", free_port) + told('source = ["CT*"]')
    with ExitStack() as stack:
        services = stack.enter_context(routing(tmp_path, text, first_pause=0.1))
        store(services, origin=Origin("dimse", "MR1"))
        store(services)
        waits(services, "cannot connect")
        with ris(free_port, refused, status=0x0110):
            waits(services, "0x0110")
        stack.enter_context(ris(free_port, heard))
        wait_until(lambda: heard, bool, 20)
        assert len(wait_until(lambda: services.notices.listed(["done"]), bool, 20)) == 1


def waits(services, reason):
    wait_until(
        lambda: services.notices.listed(["waiting"]),
        lambda found: any(reason in each.reason for each in found),
        20,
    )


def test_peer_hears_that_what_was_rejected_is_unavailable(tmp_path, free_port):
    heard = []
    with ris(free_port, heard), routing(tmp_path, peer("RIS", free_port) + told()) as services:
        (bad, good) = store(services, count=2, StudyInstanceUID=STUDY)
        with services.archive.delivery(Origin("dimse", "CT01")) as delivery:
            delivery.ingest(spooled(services.spool, rejection_note(bad)))
        wait_until(
            lambda: heard,
            lambda found: found and len(instances_of(found[-1])) == 3,
            20,
        )
        availability = {sop: said for sop, (said, _) in instances_of(heard[-1]).items()}
        assert availability == {bad: "UNAVAILABLE", NOTE: "UNAVAILABLE", good: "ONLINE"}


def test_study_that_grows_is_told_of_again(tmp_path, free_port):
    heard, study = [], generate_uid()
    with ris(free_port, heard), routing(tmp_path, peer("RIS", free_port) + told()) as services:
        store(services, StudyInstanceUID=study)
        wait_until(lambda: services.notices.listed(["done"]), bool, 20)
        store(services, StudyInstanceUID=study)
        wait_until(lambda: heard, lambda found: len(found) == 2 and len(instances_of(found[1])) == 2, 20)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    with other_isocenter(tmp_path_factory.mktemp("archive")) as (services, port):
        yield services, port


def notification(**changes):
    instance, series, ds = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = "1.2.3", "1.2.3.4"
    instance.InstanceAvailability, instance.RetrieveAETitle = "NEARLINE", "DEEP"
    for keyword, value in changes.items():
        setattr(instance, keyword, value)
    series.SeriesInstanceUID, series.ReferencedSOPSequence = "1.2.5", [instance]
    ds.StudyInstanceUID, ds.ReferencedSeriesSequence = "1.2.6", [series]
    ds.ReferencedPerformedProcedureStepSequence = []
    return ds


def create(port, ds, sop=None):
    entity = AE("DEEP")
    entity.add_requested_context(SOP_CLASS)
    assoc = entity.associate("127.0.0.1", port, ae_title="ISOCENTER")
    assert assoc.is_established
    status, _ = assoc.send_n_create(ds, SOP_CLASS, sop or generate_uid())
    assoc.release()
    return status.Status


def test_what_others_tell_us_is_kept(archive):
    services, port = archive
    sop = generate_uid()
    assert create(port, notification(), sop) == SUCCESS
    assert create(port, notification(), sop) == DUPLICATE_SOP_INSTANCE
    (notice,) = services.availability.listed("1.2.6")
    assert (notice.peer, notice.instances()) == ("DEEP", [("1.2.3.4", "NEARLINE", "DEEP")])
    assert services.availability.listed("1.2.7") == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"InstanceAvailability": "SOON"}, INVALID_ATTRIBUTE_VALUE),
        ({"RetrieveAETitle": ""}, MISSING_ATTRIBUTE),
        ({"ReferencedSOPInstanceUID": ""}, MISSING_ATTRIBUTE),
    ],
)
def test_notification_that_says_nothing_is_refused(archive, changes, status):
    services, port = archive
    before = len(services.availability.listed())
    assert create(port, notification(**changes)) == status
    assert len(services.availability.listed()) == before
