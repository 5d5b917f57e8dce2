"""Routes whose parameters are bound here: the framework's injection costs more than most of these answers.

The framework reads the same signatures for the description of the interface, so both say the same.
"""

import re
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from dicomweb.compression import Compression
from dicomweb.documented import UID
from dicomweb.media_types import Accept
from dicomweb.problems import BadRequest
from storage.instances import InstanceKey

_UIDS = re.compile(UID)


class DirectRoute(APIRoute):
    """A route of an endpoint `def` that takes no other parameters than those of `_BINDERS`.

    One that takes others is served as the framework does it.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        names = signature(endpoint).parameters
        bound = {name: _BINDERS[name] for name in names if name in _BINDERS}
        self._binders = bound if len(bound) == len(names) else None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._binders is None or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive, send)
        response: Response = await run_in_threadpool(_answer, self.endpoint, self._binders, request)
        await response(scope, receive, send)


class CompressedRoute(DirectRoute):
    """A route whose answers are compressed for clients that take it."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await Compression(super().handle)(scope, receive, send)


_Binder = Callable[[Request], Any]


def _answer(endpoint: Callable[..., Any], binders: Mapping[str, _Binder], request: Request) -> Any:
    return endpoint(**{name: bind(request) for name, bind in binders.items()})


def _uid(request: Request, name: str) -> str:
    value: str = request.path_params[name]
    if not _UIDS.fullmatch(value):
        raise BadRequest(f"path.{name}: a UID has up to 64 digits and dots, unlike {value[:80]!r}")
    return value


def _key(request: Request) -> InstanceKey:
    return InstanceKey(_uid(request, "study"), _uid(request, "series"), _uid(request, "sop"))


def _accept(request: Request) -> Accept:
    return Accept(request.headers.get("accept"), request.query_params.get("accept"))


_BINDERS: dict[str, _Binder] = {
    "request": lambda request: request,
    "study": lambda request: _uid(request, "study"),
    "series": lambda request: _uid(request, "series"),
    "key": _key,
    "frames": lambda request: request.path_params["frames"],
    "accept": _accept,
}
