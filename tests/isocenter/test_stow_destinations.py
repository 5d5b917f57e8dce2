"""Sending to DICOMweb services: another Isocenter, and services that refuse."""

import json
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from isocenter.http import create_app
from storage.instances import Origin
from tests.isocenter.destinations import other_isocenter
from tests.isocenter.routed import held_by, route, routing, store, web_destination
from tests.support.system import wait_until
from tests.support.web import serving


@contextmanager
def service(answer):
    """A service that answers each request with status and body of `answer(its headers, its body)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            status, told = answer(self.headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_study_reaches_another_isocenter_by_stow_with_what_the_web_does_not_take_converted(tmp_path):
    with ExitStack() as stack:
        other, _ = stack.enter_context(other_isocenter(tmp_path / "other"))
        url = stack.enter_context(serving(create_app(other)))
        text = web_destination("web", f"{url}/dicom-web") + route("all", "web")
        services = stack.enter_context(routing(tmp_path, text))
        sops = store(services, count=3)
        (implicit,) = store(services, transfer_syntax=ImplicitVRLittleEndian)
        wait_until(lambda: held_by(other), lambda held: held == {*sops, implicit}, 20)
        for sop in sops:
            assert other.archive.instance(sop).digest == services.archive.instance(sop).digest
        converted = other.archive.instance(implicit)
        assert converted.transfer_syntax == ExplicitVRLittleEndian
        with other.archive.open(converted) as file:
            assert pydicom.dcmread(BytesIO(file.read())).PatientName == "Triangle^Red"
        store(services, origin=Origin("stow", "browser", "127.0.0.1"))
        wait_until(services.shipments.figures, lambda figures: figures[0].sent == 4, 10)
        assert services.shipments.figures()[0].waiting == 0


def test_refused_instance_is_told_with_its_reason_and_the_others_are_stored(tmp_path):
    seen = []

    def answer(headers, body):
        seen.append((headers["Authorization"], body.count(b"Content-Type: application/dicom")))
        bad = refused[0].encode() in body
        told = {"00081198": {"Value": [{"00081155": {"Value": refused}, "00081197": {"Value": [0x0110]}}]}}
        return (
            (202, json.dumps(told | {"00081199": {"Value": named(stored)}}).encode()) if bad else (200, b"")
        )

    def named(sops):
        return [{"00081155": {"Value": [sop]}} for sop in sops]

    stored, refused = [], ["none yet"]
    with service(answer) as url:
        text = web_destination("web", url, 'token = "secret"\nmax_attempts = 1') + route("all", "web")
        with routing(tmp_path, text, running=False) as services:
            refused[0], *stored = store(services, count=3)
        with routing(tmp_path, text) as services:
            (parked,) = wait_until(lambda: services.shipments.listed(["parked"]), bool, 20)
            assert (parked.sent, parked.total, parked.reason) == (2, 3, "failure reason 0x0110")
    assert seen[0] == ("Bearer secret", 3)


def test_request_that_is_refused_as_a_whole_is_tried_instance_by_instance(tmp_path):
    refused = []

    def answer(_, body):
        return (400, b"cannot read it") if refused[0].encode() in body else (200, b"")

    with service(answer) as url:
        text = web_destination("web", url, 'user = "ada"\npassword = "x"\nmax_attempts = 1') + route(
            "all", "web"
        )
        with routing(tmp_path, text, running=False) as services:
            refused.extend(store(services, count=3))
        with routing(tmp_path, text) as services:
            (parked,) = wait_until(lambda: services.shipments.listed(["parked"]), bool, 20)
            assert (parked.sent, parked.total, parked.reason) == (2, 3, "HTTP 400 cannot read it")


def test_service_that_is_unwell_gets_everything_later(tmp_path):
    answers = iter([(503, b"later"), (503, b"later")])
    text = ""
    with service(lambda *_: next(answers, (200, b""))) as url:
        text = web_destination("web", url) + route("all", "web")
        with routing(tmp_path, text, first_pause=0.1) as services:
            store(services, count=2)
            (sent,) = wait_until(lambda: services.shipments.listed(["sent"]), bool, 20)
            assert (sent.sent, services.shipments.figures()[0].last_reason) == (2, "HTTP 503 later")
