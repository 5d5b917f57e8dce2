"""Settings and services of a running router, and what is stored in them."""

import threading
from contextlib import ExitStack, contextmanager

from pydicom.uid import generate_uid

from isocenter.routing.build import router_for
from isocenter.services import open_services
from isocenter.settings import load_settings
from storage.instances import Origin
from tests.storage.builders import part10, spooled


def peer(aet, port):
    return f'[[node.peers]]\naet = "{aet}"\nhost = "127.0.0.1"\nport = {port}\n'


def destination(name, aet, more=""):
    return f'[[destinations]]\nname = "{name}"\npeer = "{aet}"\n{more}\n'


def route(name, to, more=""):
    return f'[[routes]]\nname = "{name}"\nto = ["{to}"]\n{more}\n'


@contextmanager
def routing(tmp_path, text, *, running=True, first_pause=5, settle=0):
    """The services of these settings, while their router runs, or after it was started once."""
    file = tmp_path / "isocenter.toml"
    file.write_text(f"[routing]\nsettle_seconds = {settle}\n{text}")
    stopped = threading.Event()
    with (
        open_services(load_settings(file, {}, {"data": tmp_path / "data"})) as services,
        ExitStack() as stack,
    ):
        router = router_for(services, stopped, first_pause=first_pause)
        if not running:
            yield services
            return
        thread = threading.Thread(target=router.run)
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


def web_destination(name, url, more=""):
    return f'[[destinations]]\nname = "{name}"\nurl = "{url}"\n{more}\n'


def held_by(services):
    """SOP Instance UIDs that an archive has."""
    return {event.sop for event in services.archive.events(None) if event.sop}
