"""The HTTP application: DICOMweb, pages, health and metrics in one place."""

import ipaddress
import logging
from datetime import datetime
from functools import partial
from importlib.metadata import version
from urllib.parse import urlsplit

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomweb.masks import masks_router
from dicomweb.overlay import overlay_router
from dicomweb.service import add_dicomweb, add_error_handlers, wado_uri_router
from dicomweb.ups import workitems_router
from inference.comparison import Comparison
from isocenter.disks import disks_of
from isocenter.metrics import registry_for
from isocenter.model_cards import deciding, model_cards
from isocenter.parts import shown
from isocenter.routing.api import routes_router
from isocenter.services import DICOMWEB, Services
from isocenter.settings import Settings
from models.errors import ModelsError
from storage.errors import StorageError
from webui.api.changes import changes_router
from webui.api.comparison import comparison_router
from webui.api.errors import add_review_errors
from webui.api.modality_worklist import modality_worklist_router
from webui.api.models import models_router
from webui.api.operations import operations_router
from webui.api.quality import quality_router
from webui.api.reviewer import Identify
from webui.api.reviews import reviews_router
from webui.api.work import work_router
from webui.api.worklist import worklist_router
from webui.client_files import client_files
from webui.live import Live
from webui.pages import pages_router
from webui.viewer import PREFIX, ViewerFiles, viewers_router
from webui.worklist import Worklist

log = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        # Codecs are WebAssembly, which needs its own permission; nothing else is evaluated.
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'self'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
DESCRIPTION = """DICOMweb (PS3.18) on a DICOM archive that runs AI models on what arrives.

DICOMweb root: `/dicom-web`; WADO-URI: `/wado`; reviews, work, operations and modality worklist: `/api`;
health: `/healthz`, `/readyz`; metrics: `/metrics`."""


def create_app(services: Services) -> FastAPI:
    """The whole HTTP edge over `services`."""
    settings = services.settings
    app = FastAPI(
        title="Isocenter",
        version=version("isocenter"),
        description=DESCRIPTION,
        docs_url=None,  # the interactive page of the framework loads scripts from elsewhere
        redoc_url=None,
        # Nobody listens, and asking whether somebody does costs each request a twentieth.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    base_url = settings.web.base_url + DICOMWEB if settings.web.base_url else None
    add_dicomweb(
        app,
        DICOMWEB,
        services.archive,
        services.spool,
        base_url=base_url,
        deletion=settings.web.deletion,
        read_up_to=settings.commitment.read_up_to_mb << 20,
        findings=services.study_search,
    )
    workitems = workitems_router(services.steps, base_url=base_url, origins=tuple(settings.web.cors_origins))
    app.include_router(workitems, prefix=DICOMWEB)
    app.include_router(wado_uri_router(services.archive), prefix="/wado")
    app.include_router(overlay_router(services.archive))
    app.include_router(masks_router(services.archive))
    identify = Identify(settings.web.user_header)
    app.include_router(reviews_router(services.reviews, services.signing, identify), prefix="/api")
    models = models_router(
        lambda: model_cards(services.catalog),
        deciding(services.catalog, services.decisions),
        identify,
    )
    app.include_router(models, prefix="/api")
    app.include_router(comparison_router(partial(_compared, services)), prefix="/api")
    operations = operations_router(
        services.archive,
        lambda: disks_of(settings),
        lambda now: [shown(part, now) for part in services.parts.all()],
        version("isocenter"),
    )
    app.include_router(operations, prefix="/api")
    app.include_router(quality_router(services.quality), prefix="/api")
    app.include_router(worklist_router(Worklist(services.archive, services.overview)), prefix="/api")
    app.include_router(changes_router(Live(services.changes)), prefix="/api")
    app.include_router(work_router(services.work, services.steps, services.orders()), prefix="/api")
    app.include_router(modality_worklist_router(services.worklist), prefix="/api")
    app.include_router(routes_router(settings, services.shipments), prefix="/api")
    app.include_router(pages_router())
    app.mount("/static", client_files())
    app.include_router(viewers_router(settings.viewer_dir), prefix="/api")
    app.mount(PREFIX, ViewerFiles(settings.viewer_dir))
    add_error_handlers(app)
    add_review_errors(app)
    _add_health(app, services)
    app.add_middleware(SecurityHeaders)
    if settings.web.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.web.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=[
                "Accept",
                "Authorization",
                "Content-Type",
                "If-Modified-Since",
                "If-None-Match",
                "Last-Event-ID",
                "Range",
            ],
            expose_headers=[
                "Content-Location",
                "Content-Range",
                "ETag",
                "Last-Modified",
                "Location",
                "Warning",
            ],
        )
    if hosts := _allowed_hosts(settings):
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    return app


def _compared(services: Services, name: str, since: datetime | None) -> Comparison | None:
    try:
        return services.comparison(name, since)
    except ModelsError:
        return None


def _allowed_hosts(settings: Settings) -> list[str]:
    """On loopback only names of this machine, so that no web page elsewhere reaches us by DNS rebinding."""
    host = settings.web.host or settings.host
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    outside = urlsplit(settings.web.base_url).hostname
    return ["localhost", "127.0.0.1", "[::1]", host, *([outside] if outside else [])] if loopback else []


class SecurityHeaders:
    """ASGI middleware that adds what browsers need to be told; touches no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._added = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name for name, _ in message["headers"]}
                message["headers"] += [pair for pair in self._added if pair[0] not in there]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def _add_health(app: FastAPI, services: Services) -> None:
    registry = registry_for(services.archive, services.work, services.quality, services.shipments)

    @app.get("/healthz", tags=["health"], response_class=PlainTextResponse, summary="This process is alive")
    def alive() -> str:
        return "alive\n"

    @app.get(
        "/readyz",
        tags=["health"],
        summary="Database and blob store answer",
        responses={503: {"description": "One of them does not; `reason` says which"}},
    )
    def ready() -> JSONResponse:
        try:
            services.archive.health()
        except StorageError as error:
            return JSONResponse({"ready": False, "reason": str(error)}, status_code=503)
        return JSONResponse({"ready": True})

    @app.get(
        "/metrics",
        tags=["health"],
        summary="Prometheus metrics",
        response_class=PlainTextResponse,
    )
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
