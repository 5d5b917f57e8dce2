"""An application on a real server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from isocenter.serving import Server


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """`app` on a free port of this machine; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    ready = threading.Event()
    server = Server(app, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert ready.wait(30)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
