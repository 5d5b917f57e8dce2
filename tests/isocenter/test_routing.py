"""What is stored reaches the destinations that the rules name, whatever they do meanwhile."""

import threading
from contextlib import ExitStack, contextmanager

import pydicom
import pytest
from pydicom.uid import generate_uid

from isocenter.routing.build import router_for
from isocenter.services import open_services
from isocenter.settings import load_settings
from storage.instances import Origin
from tests.isocenter.destinations import other_isocenter, somebody, storescp
from tests.storage.builders import part10, spooled
from tests.support.programs import needs
from tests.support.system import wait_until

ROUTING = "[routing]\nsettle_seconds = 0\n"


def peer(aet, port):
    return f'[[node.peers]]\naet = "{aet}"\nhost = "127.0.0.1"\nport = {port}\n'


def destination(name, aet, more=""):
    return f'[[destinations]]\nname = "{name}"\npeer = "{aet}"\n{more}\n'


def route(name, to, more=""):
    return f'[[routes]]\nname = "{name}"\nto = ["{to}"]\n{more}\n'


@contextmanager
def routing(tmp_path, text):
    """The services of these settings, while their router runs."""
    file = tmp_path / "isocenter.toml"
    file.write_text(ROUTING + text)
    stopped = threading.Event()
    with (
        open_services(load_settings(file, {}, {"data": tmp_path / "data"})) as services,
        ExitStack() as stack,
    ):
        thread = threading.Thread(target=router_for(services, stopped).run)
        thread.start()
        stack.callback(thread.join, 30)
        stack.callback(stopped.set)
        yield services


def store(services, *, origin=Origin("dimse", "CT01"), count=1, **attributes):  # noqa: B008 - a frozen value
    """Store images of one new study; their SOP Instance UIDs."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()} | attributes
    sops = [generate_uid() for _ in range(count)]
    with services.archive.delivery(origin) as delivery:
        for sop in sops:
            delivery.ingest(spooled(services.spool, part10(SOPInstanceUID=sop, **uids)))
    return sops


def held_by(services):
    """SOP Instance UIDs that an archive has."""
    return {event.sop for event in services.archive.events(None) if event.sop}


@needs("storescp")
def test_stored_study_reaches_a_peer_unchanged_in_one_association(tmp_path):
    with storescp(tmp_path / "got", "-v") as port:
        text = peer("STORESCP", port) + destination("pacs", "STORESCP") + route("all", "pacs")
        with routing(tmp_path, text) as services:
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


def test_nothing_is_sent_back_to_where_it_came_from(tmp_path):
    with other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}) as (one, port):
        text = peer("ONE", port) + destination("one", "ONE") + route("all", "one")
        with routing(tmp_path, text) as services:
            store(services, origin=Origin("dimse", "ONE"))
            (other,) = store(services, origin=Origin("dimse", "TWO"))
            assert wait_until(lambda: held_by(one), bool, 20) == {other}


def test_dead_destination_delays_no_other_and_gets_all_of_it_when_it_is_back(tmp_path, free_port):
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
