"""The addresses of the pages. The worklist and the reader are one application in the browser: `client`."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from jinja2 import Environment, PackageLoader, select_autoescape

from webui.client_files import INDEX

_RESPONSES: dict[int | str, dict[str, Any]] = {
    503: {"description": "The pages were not built; the answer says how to build them"}
}


def pages_router() -> APIRouter:
    """The pages, and a readable form of the interface."""
    router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)
    templates = Environment(
        loader=PackageLoader("webui"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def client() -> Response:
        if not INDEX.is_file():
            return HTMLResponse(templates.get_template("not_built.html").render(), status_code=503)
        return FileResponse(INDEX, headers={"Cache-Control": "no-cache"})

    @router.get("/", summary="The worklist", responses=_RESPONSES)
    def worklist() -> Response:
        return client()

    @router.get("/studies/{study}", summary="One study: images, findings, reviews", responses=_RESPONSES)
    def study_page(study: Annotated[str, Path(description="Study Instance UID")]) -> Response:  # noqa: ARG001 - read in the browser
        return client()

    @router.get("/operations", summary="What arrives, what runs, what failed", responses=_RESPONSES)
    def operations() -> Response:
        return client()

    @router.get("/upload", summary="Send files from this browser", responses=_RESPONSES)
    def upload() -> Response:
        return client()

    @router.get("/docs", summary="This interface, readable")
    def interface(request: Request) -> HTMLResponse:
        return HTMLResponse(templates.get_template("interface.html").render(api=request.app.openapi()))

    return router
