"""The event channel of the Worklist Service (PS3.18 8.10): reports over a WebSocket, as DICOM JSON."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from storage.errors import StorageError
from storage.procedure_steps import WEB, Report, Reports

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
_POLL = 0.5
"""Seconds between looks at what is new: every process may write it, so nobody calls."""
_N_EVENT_REPORT, _WITH_DATA_SET = 0x0100, 0
_POLICY_VIOLATION = 1008


def add_event_channel(router: APIRouter, reports: Reports, origins: Sequence[str]) -> None:
    """Send the reports of a subscriber as long as he listens; each until it was sent.

    A report is removed when it is handed to the connection. Who opens the channel again gets those that he
    has not received, in order; one that was sent as the connection broke may come twice.
    """

    @router.websocket("/ws/subscribers/{aetitle}")
    async def event_channel(
        socket: WebSocket, aetitle: Annotated[str, Path(pattern=r"^[ -\[\]-~]{1,16}$")]
    ) -> None:
        if not _is_welcome(socket, origins):
            await socket.close(_POLICY_VIOLATION)
            return
        await socket.accept()
        listener = asyncio.create_task(_until_closed(socket))
        try:
            await _report(socket, reports, aetitle.strip(), listener)
        finally:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener


def _is_welcome(socket: WebSocket, origins: Sequence[str]) -> bool:
    """Browsers ask no one before they open a socket to another address (RFC 6455 10.2)."""
    origin = socket.headers.get("origin")
    if origin is None or origin in origins:
        return True
    return urlsplit(origin).netloc == socket.headers.get("host")


async def _report(socket: WebSocket, reports: Reports, aet: str, listener: "asyncio.Task[None]") -> None:
    while not listener.done():
        try:
            waiting = await run_in_threadpool(reports.waiting, WEB, aet)
        except StorageError:
            waiting = []
        for report in waiting:
            try:
                await socket.send_text(json.dumps(message(report), ensure_ascii=False))
            except (WebSocketDisconnect, RuntimeError):
                return  # the rest waits for the next connection
            await run_in_threadpool(reports.received, report.id)
        if not waiting:
            await asyncio.wait({listener}, timeout=_POLL)


async def _until_closed(socket: WebSocket) -> None:
    """What a subscriber says is not listened to."""
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()


def message(report: Report) -> dict[str, object]:
    """An event report with the command elements of an N-EVENT-REPORT (PS3.7 table 10.3-1)."""
    command = {
        "00000002": {"vr": "UI", "Value": [UPS_PUSH]},
        "00000100": {"vr": "US", "Value": [_N_EVENT_REPORT]},
        "00000110": {"vr": "US", "Value": [report.id % 0xFFFF + 1]},
        "00000800": {"vr": "US", "Value": [_WITH_DATA_SET]},
        "00001000": {"vr": "UI", "Value": [report.uid]},
        "00001002": {"vr": "US", "Value": [report.event_type]},
    }
    return command | report.attributes
