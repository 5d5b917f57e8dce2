"""What is stored reaches the destinations that the rules name, whatever they do meanwhile."""

import socket
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pydicom
import pytest

from isocenter.routing.shipments import UnknownShipment
from isocenter.services import open_services
from isocenter.settings import load_settings
from storage.instances import Origin
from tests.isocenter.destinations import other_isocenter, pour, somebody, storescp
from tests.isocenter.routed import destination, held_by, peer, route, routing, store
from tests.support.programs import needs
from tests.support.system import wait_until


@needs("storescp")
def test_stored_study_reaches_a_peer_unchanged_in_one_association(tmp_path):
    with storescp(tmp_path / "got", "-v") as port:
        text = peer("STORESCP", port) + destination("pacs", "STORESCP") + route("all", "pacs")
        with routing(tmp_path, text, settle=1.5) as services:
            sops = store(services, count=5)
            files = wait_until(lambda: list((tmp_path / "got").iterdir()), lambda found: len(found) == 5, 20)
    got = [pydicom.dcmread(file) for file in files]
    assert {ds.SOPInstanceUID for ds in got} == set(sops)
    assert (tmp_path / "got.log").read_text().count("Association Acknowledged") == 1


def test_only_what_a_rule_asks_for_goes_to_its_destination(tmp_path):
    text = "".join(
        (
            destination("one", "ONE"),
            destination("two", "TWO"),
            route(
                "lungs",
                "one",
                'source = ["CT*"]\nmatch = { Modality = ["CT", "PT"], StudyDescription = "*lung*" }',
            ),
            route("results", "two", 'when = ["ai-result", "review-signed"]'),
        )
    )
    with ExitStack() as stack:
        one, first = stack.enter_context(other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}))
        two, second = stack.enter_context(other_isocenter(tmp_path / "two", **{"node.aet": "TWO"}))
        services = stack.enter_context(routing(tmp_path, peer("ONE", first) + peer("TWO", second) + text))
        (wanted,) = store(services, StudyDescription="CT Lung low dose")
        store(services, StudyDescription="Knee")
        store(services, StudyDescription="Lung", origin=Origin("dimse", "MR7"))
        (result,) = store(services, StudyDescription="Lung", origin=Origin("inference", "model"))
        (signed,) = store(services, StudyDescription="Lung", origin=Origin("review", "Ada"))
        wait_until(lambda: held_by(two), lambda held: len(held) == 2, 20)
        wait_until(lambda: held_by(one), bool, 20)
        assert (held_by(one), held_by(two)) == ({wanted}, {result, signed})


def test_a_destination_is_sent_the_results_that_it_can_show(tmp_path):
    text = "".join(
        (
            destination("one", "ONE", 'results = ["sc"]'),
            route("all", "one", 'when = ["stored", "ai-result"]'),
        )
    )
    model = Origin("inference", "model")
    with ExitStack() as stack:
        one, port = stack.enter_context(other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}))
        services = stack.enter_context(routing(tmp_path, peer("ONE", port) + text))
        store(services, origin=model, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.34")
        (capture,) = store(services, origin=model, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
        (image,) = store(services)
        assert wait_until(lambda: held_by(one), lambda held: len(held) == 2, 20) == {capture, image}


def test_nothing_is_sent_back_to_where_it_came_from(tmp_path):
    with other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}) as (one, port):
        text = peer("ONE", port) + destination("one", "ONE") + route("all", "one")
        with routing(tmp_path, text) as services:
            store(services, origin=Origin("dimse", "ONE"))
            (other,) = store(services, origin=Origin("dimse", "TWO"))
            assert wait_until(lambda: held_by(one), bool, 20) == {other}


def test_destinations_that_are_dead_or_hang_delay_no_other(tmp_path, free_port):
    silent = threading.Event()
    with ExitStack() as stack:
        hangs = stack.enter_context(somebody(lambda _: silent.wait(20)))
        one, port = stack.enter_context(other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}))
        text = peer("ONE", port) + peer("DEAD", free_port) + peer("HANGS", hangs)
        text += destination("one", "ONE") + destination("dead", "DEAD")
        text += destination("hangs", "HANGS", "timeout_seconds = 1")
        text += "".join(route(name, name) for name in ("one", "dead", "hangs"))
        services = stack.enter_context(routing(tmp_path, text))
        sops = {sop for _ in range(3) for sop in store(services, count=2)}
        wait_until(lambda: held_by(one), lambda held: held == sops, 20)
        silent.set()


def test_destination_that_was_dead_gets_everything_when_it_is_back(tmp_path, free_port):
    text = peer("ONE", free_port) + destination("one", "ONE") + route("all", "one")
    with routing(tmp_path, text, first_pause=0.2) as services:
        sops = store(services, count=3)
        (tried,) = wait_until(
            lambda: services.shipments.listed(["waiting"]), lambda found: found and found[0].attempts, 20
        )
        assert "cannot connect" in tried.reason
        with other_isocenter(tmp_path / "one", **{"node.aet": "ONE", "node.port": free_port}) as (one, _):
            wait_until(lambda: held_by(one), lambda held: held == set(sops), 20)


def test_destination_that_dies_in_mid_association_gets_the_rest_next_time(tmp_path):
    with ExitStack() as stack:
        one, port = stack.enter_context(other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}))
        calls = []

        def cut_off(connection):
            """Passes bytes on, in the first association only so many."""
            calls.append(1)
            left = 3000 if len(calls) == 1 else 1 << 30
            with socket.create_connection(("127.0.0.1", port)) as onwards:
                threading.Thread(target=pour, args=(onwards, connection, 1 << 30)).start()
                pour(connection, onwards, left)

        relay = stack.enter_context(somebody(cut_off))
        text = peer("ONE", relay) + destination("one", "ONE") + route("all", "one")
        services = stack.enter_context(routing(tmp_path, text, first_pause=0.2, settle=1))
        sops = store(services, count=8)
        wait_until(lambda: held_by(one), lambda held: held == set(sops), 20)
        (sent,) = wait_until(lambda: services.shipments.listed(["sent"]), bool, 20)
        assert (len(calls), sent.sent, services.shipments.figures()[0].failed > 0) == (2, 8, True)


@needs("storescp")
def test_what_a_destination_refuses_is_parked_with_the_reason_and_can_be_tried_again(tmp_path):
    with storescp(tmp_path / "got", "+xi") as port:  # takes Implicit VR Little Endian alone
        only = 'transfer_syntaxes = ["1.2.840.10008.1.2.1"]\nmax_attempts = 2'
        text = peer("STORESCP", port) + destination("pacs", "STORESCP", only) + route("all", "pacs")
        with routing(tmp_path, text, first_pause=0.1) as services:
            store(services)
            (parked,) = wait_until(lambda: services.shipments.listed(["parked"]), bool, 20)
            assert "is accepted neither in transfer syntax" in parked.reason
            assert (parked.attempts, services.shipments.figures()[0].parked) == (2, 1)
        with routing(tmp_path, text.replace("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")) as services:
            services.shipments.retry(parked.id, datetime.now(UTC))
            wait_until(lambda: list((tmp_path / "got").iterdir()), bool, 20)
            (sent,) = wait_until(lambda: services.shipments.listed(["sent"]), bool, 20)
            with pytest.raises(UnknownShipment):
                services.shipments.drop(sent.id, datetime.now(UTC))


def test_what_came_while_no_router_ran_is_sent_and_what_was_there_before_the_first_is_not(tmp_path):
    with other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}) as (one, port):
        text = peer("ONE", port) + destination("one", "ONE") + route("all", "one")
        with open_services(load_settings(None, {}, {"data": tmp_path / "data"})) as services:
            store(services)
        with routing(tmp_path, text, running=False) as services:
            (wanted,) = store(services)
        with routing(tmp_path, text):
            assert wait_until(lambda: held_by(one), bool, 20) == {wanted}


def test_outside_its_hours_a_destination_gets_nothing(tmp_path):
    moment = datetime.now().astimezone()
    closed, opened = (
        f"{moment + timedelta(hours=start):%H:%M}-{moment + timedelta(hours=start + 2):%H:%M}"
        for start in (2, -1)
    )
    with ExitStack() as stack:
        one, first = stack.enter_context(other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}))
        two, second = stack.enter_context(other_isocenter(tmp_path / "two", **{"node.aet": "TWO"}))
        text = peer("ONE", first) + peer("TWO", second)
        text += destination("one", "ONE", f'hours = ["{closed}"]') + route("first", "one")
        text += destination("two", "TWO", f'hours = ["{opened}"]') + route("second", "two")
        services = stack.enter_context(routing(tmp_path, text))
        store(services)
        wait_until(lambda: held_by(two), bool, 20)
        assert not held_by(one)
        assert [each.destination for each in services.shipments.listed(["waiting"])] == ["one"]


def test_shipment_is_done_when_the_destination_has_committed_to_it(tmp_path):
    with other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}) as (one, port):
        text = peer("ONE", port) + destination("one", "ONE", "commitment = true") + route("all", "one")
        with routing(tmp_path, text) as services:
            store(services, count=2)
            wait_until(lambda: services.shipments.listed(["sent"]), bool, 30)
        assert [len(each.references) for each in one.commitments.latest()] == [2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (destination("a", "NOBODY"), "destinations: a: NOBODY is none of"),
        (route("r", "nowhere"), "routes: r: nowhere is none of"),
        ('[[destinations]]\nname = "a"\n', "needs either `peer` or `url`"),
        ('[[destinations]]\nname = "a"\nurl = "ftp://x"\n', "is not an http:// or https:// URL"),
        ('[[destinations]]\nname = "a"\nurl = "http://x"\nhours = ["7-8"]\n', "HH:MM-HH:MM"),
        (route("r", "a", "match = { Modalty = 'CT' }"), "Modalty is no attribute"),
        ('[[destinations]]\nname = "a"\nurl = "http://x"\n' * 2, "there are two called a"),
    ],
)
def test_mistakes_in_the_settings_are_named(tmp_path, text, said):
    file = tmp_path / "isocenter.toml"
    file.write_text(text)
    with pytest.raises(Exception, match=said):
        load_settings(file, {})
