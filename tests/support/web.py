"""An application on a real server."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from isocenter.serving import Server


class _Prompt(Server):
    """Looks ten times as often whether it is to stop: hundreds of tests wait for it."""

    async def main_loop(self) -> None:
        while True:
            if await self.on_tick(0):
                return
            await asyncio.sleep(0.01)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """`app` on a free port of this machine; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    ready = threading.Event()
    server = _Prompt(app, on_ready=ready.set, on_stop=lambda: None)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert ready.wait(30)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
