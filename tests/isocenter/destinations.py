"""Places to send to: DCMTK's storescp, another Isocenter, and those that misbehave."""

import shutil
import socket
import threading
from contextlib import contextmanager, suppress

from isocenter.dimse import node_for
from isocenter.services import open_services
from isocenter.settings import load_settings
from tests.support.servers import free_ports, listens, running


@contextmanager
def storescp(folder, *options):
    """DCMTK's receiver, which writes into `folder`; gives its port."""
    (port,) = free_ports()
    folder.mkdir(exist_ok=True)
    command = [shutil.which("storescp"), "-od", str(folder), *options, str(port)]
    with running(command, folder.with_suffix(".log"), lambda: listens(port)):
        yield port


@contextmanager
def other_isocenter(folder, **node):
    """Another Isocenter, with its services and the port of its node."""
    with open_services(load_settings(None, {}, {"data": folder, "node.port": 0, **node})) as services:
        edge = node_for(services)
        try:
            yield services, edge.start()
        finally:
            edge.stop(grace=0)


@contextmanager
def somebody(behave):
    """Who listens, and does `behave(connection)` with each who comes; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=entertain, args=(connection,), daemon=True).start()

        def entertain(connection):
            with connection:
                behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def pour(source, target, most):
    """Pass on `most` bytes, then close both."""
    with source, target, suppress(OSError):
        while most > 0 and (data := source.recv(min(most, 4096))):
            target.sendall(data)
            most -= len(data)
