"""Routes whose parameters are bound here: the framework's injection costs more than most of these answers.

The framework reads the same signatures for the description of the interface, so both say the same.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from dicomweb.charsets import check_charsets
from dicomweb.compression import Compression
from dicomweb.documented import UID
from dicomweb.media_types import Accept, accept_of
from dicomweb.problems import BadRequest, WebError, problem_of
from storage.errors import StorageError
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

    @property
    def is_direct(self) -> bool:
        """The framework is not needed."""
        return self._binders is not None

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


class DirectPaths:
    """ASGI middleware: finds direct routes by one look-up, where the framework tries a pattern after another.

    It looks at all routers below it for each of them, which takes longer than to read a frame. Every other
    request goes on to `app`.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], prefix: str) -> None:
        """Serve the direct ones of `routes` whose paths, below `prefix`, have names and values in turn."""
        self._app = app
        self._prefix = prefix
        self._found: dict[tuple[str, ...], tuple[DirectRoute, tuple[str, ...]]] = {}
        for route in routes:
            if isinstance(route, DirectRoute) and route.is_direct:
                self._add(route)

    def _add(self, route: DirectRoute) -> None:
        names, values = _in_turn(route.path)
        if not any(map(_is_value, names)) and all(map(_is_value, values)):
            for method in route.methods or ():
                self._found[(method, str(len(values)), *names)] = (
                    route,
                    tuple(value[1:-1] for value in values),
                )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._route(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        try:
            await route.handle(scope, receive, send)
        except (StorageError, WebError) as error:
            # As the framework does: after the first byte of an answer it is too late to say what is wrong.
            await problem_of(error, Request(scope))(scope, receive, send)

    def _route(self, scope: Scope) -> DirectRoute | None:
        path: str = scope["path"]
        if not path.startswith(self._prefix) or scope.get("root_path"):
            return None
        names, values = _in_turn(path[len(self._prefix) :])
        route, parameters = self._found.get((scope["method"], str(len(values)), *names), (None, ()))
        if route is None or not all(values):
            return None
        scope["path_params"] = dict(zip(parameters, values, strict=True))
        return route


def _in_turn(path: str) -> tuple[list[str], list[str]]:
    """What stands at odd and at even places: `/studies/1.2/metadata` has two names and a value."""
    steps = path.split("/")
    return steps[1::2], steps[2::2]


def _is_value(step: str) -> bool:
    return step.startswith("{") and step.endswith("}") and ":" not in step


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
    asked: Mapping[str, str] = request.query_params if request.scope["query_string"] else {}
    check_charsets(asked.get("charset"), request.headers.get("accept-charset"))
    return accept_of(request.headers.get("accept"), asked.get("accept"))


_BINDERS: dict[str, _Binder] = {
    "request": lambda request: request,
    "study": lambda request: _uid(request, "study"),
    "series": lambda request: _uid(request, "series"),
    "key": _key,
    "frames": lambda request: request.path_params["frames"],
    "accept": _accept,
}
