"""Priors come from another archive when a study arrives: the right ones, once, also when it was away."""

from contextlib import ExitStack

import pytest
from pydicom.uid import generate_uid

from isocenter.dimse import node_for
from isocenter.services import open_services
from isocenter.settings import load_settings
from storage.instances import Origin
from storage.keywords import from_keywords
from storage.worklist import scheduled_step
from tests.isocenter.destinations import other_isocenter
from tests.isocenter.routed import peer, routing, store
from tests.support.servers import free_ports
from tests.support.system import wait_until

pytestmark = pytest.mark.xdist_group("prefetch")

ARRIVED = {"PatientID": "P7", "StudyDate": "20240229", "BodyPartExamined": "CHEST"}


def prefetch(more=""):
    return f'[[prefetch]]\nname = "priors"\npeer = "PACS"\npause_seconds = 0\nmax_studies = 2\n{more}\n'


def stored_in(pacs, **attributes):
    """The Study Instance UID of a study of three images in the other archive."""
    study = generate_uid()
    store(pacs, count=3, **(ARRIVED | {"StudyInstanceUID": study} | attributes))
    return study


def studies(services):
    return {event.study for event in services.archive.events(None)}


@pytest.fixture(scope="module")
def pacs(tmp_path_factory, unused_port):
    """An archive that knows us, its port, and the two studies of it that are wanted."""
    us = {"aet": "ISOCENTER", "host": "127.0.0.1", "port": unused_port}
    folder = tmp_path_factory.mktemp("pacs")
    with other_isocenter(folder, **{"node.aet": "PACS", "node.peers": [us]}) as (services, port):
        wanted = [stored_in(services, StudyDate=date) for date in ("20230101", "20220101")]
        stored_in(services, StudyDate="20210101")  # one too many
        stored_in(services, StudyDate="20100101")
        stored_in(services, StudyDate="20250101")
        stored_in(services, StudyDate="20231001", Modality="MR")
        stored_in(services, StudyDate="20231002", BodyPartExamined="KNEE")
        stored_in(services, StudyDate="20231003", PatientID="P77")
        yield port, set(wanted)


@pytest.fixture(scope="module")
def unused_port():
    return free_ports()[0]


@pytest.mark.parametrize("by", ["get", "move"])
def test_latest_priors_of_the_patient_come_once(tmp_path, pacs, unused_port, by):
    port, wanted = pacs
    node = f"[node]\nport = {unused_port}\n"
    with ExitStack() as stack:
        text = node + peer("PACS", port) + prefetch(f'by = "{by}"')
        services = stack.enter_context(routing(tmp_path, text))
        edge = node_for(services)
        edge.start()
        stack.callback(edge.stop, 0)
        study = generate_uid()
        store(services, count=2, **(ARRIVED | {"StudyInstanceUID": study}))
        (done,) = wait_until(lambda: services.prefetches.listed(["done"]), bool, 40)
        assert (done.study, done.done) == (study, 2)
        assert studies(services) == wanted | {study}
        assert all(services.archive.contents(each).instances == 3 for each in wanted)
        assert [each.study for each in services.prefetches.listed(["waiting", "done"])] == [study]


def scheduled(**attributes):
    step = {
        "Modality": "CT",
        "ScheduledStationAETitle": "CT01",
        "ScheduledProcedureStepStartDate": "20240229",
        "ScheduledProcedureStepStartTime": "0900",
        "ScheduledProcedureStepDescription": "Chest",
    }
    entry = {"PatientName": "Grey^Hexagon", "PatientID": "P7", "ScheduledProcedureStepSequence": [step]}
    return scheduled_step(from_keywords(entry | attributes))


def test_priors_are_here_before_what_is_scheduled(tmp_path, pacs):
    port, wanted = pacs
    when = 'when = ["stored", "scheduled"]\nsource = ["CT*"]\nmatch = { Modality = "CT" }\nby = "get"'
    with routing(tmp_path, peer("PACS", port) + prefetch(when)) as services:
        study = generate_uid()
        services.worklist.add(scheduled(StudyInstanceUID=study))
        services.worklist.add(scheduled(PatientID="P8"))
        done = wait_until(lambda: services.prefetches.listed(["done"]), lambda found: len(found) == 2, 40)
        assert {each.study: each.done for each in done}[study] == 2
        fetched = {event.study for event in services.archive.events(None) if event.sop}
        store(services, **(ARRIVED | {"StudyInstanceUID": study}))
        last = services.archive.last_cursor()
        wait_until(services.shipments.cursor, lambda cursor: cursor == last, 20)
        assert len(services.prefetches.listed(["waiting", "done"])) == 2
    assert len(fetched & wanted) == 1  # the body part of what is scheduled is not known


def test_archive_that_was_away_is_asked_again(tmp_path, free_port):
    text = peer("PACS", free_port) + prefetch('by = "get"')
    with routing(tmp_path, text, first_pause=0.2) as services:
        store(services, **ARRIVED)
        store(services, origin=Origin("dimse", "PACS"), **ARRIVED)
        (waiting,) = wait_until(
            lambda: services.prefetches.listed(["waiting"]), lambda found: found and found[0].attempts, 20
        )
        assert "cannot connect" in waiting.reason
        with other_isocenter(tmp_path / "pacs", **{"node.aet": "PACS", "node.port": free_port}) as (there, _):
            prior = stored_in(there, StudyDate="20230101")
            wait_until(lambda: services.prefetches.listed(["done"]), bool, 40)
        assert prior in studies(services)


def test_archive_without_a_host_is_a_mistake(tmp_path):
    file = tmp_path / "isocenter.toml"
    file.write_text(prefetch())
    with (
        pytest.raises(Exception, match="prefetch: priors: PACS is none of"),
        open_services(load_settings(file, {})),
    ):
        pass
