"""The pages: worklist, study, interface description. Rendered here, so that they work without scripts."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, select_autoescape

from inference.findings import Code
from storage.archive import Archive
from webui.studies import PAGE_SIZE, Findings, KeyImage, Studies, Work

STATIC = Path(__file__).parent / "static"


def pages_router(archive: Archive, work: Work, findings: Findings, *, dicomweb: str) -> APIRouter:
    """The pages over `archive`; `dicomweb` is the path of the DICOMweb root on this server."""
    router = APIRouter(tags=["pages"], include_in_schema=True)
    studies = Studies(archive, work, findings)
    templates = Environment(
        loader=PackageLoader("webui"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["picture"] = lambda image: picture(image, dicomweb)
    templates.globals["number"] = number
    templates.globals["unit"] = unit

    def page(name: str, **values: Any) -> HTMLResponse:
        return HTMLResponse(templates.get_template(name).render(**values))

    @router.get("/", response_class=HTMLResponse, summary="Studies and what models found in them")
    def worklist(
        patient: Annotated[str, Query(max_length=64)] = "", offset: Annotated[int, Query(ge=0, le=10_000)] = 0
    ) -> HTMLResponse:
        views, more = studies.newest(patient.strip(), offset=offset)
        following = f"/?{urlencode({'patient': patient, 'offset': offset + PAGE_SIZE})}" if more else ""
        return page("worklist.html", views=views, patient=patient, following=following)

    @router.get(
        "/studies/{study}",
        response_class=HTMLResponse,
        summary="One study: findings, pictures, work",
        responses={404: {"description": "There is no such study"}},
    )
    def study_page(study: str) -> HTMLResponse:
        view = studies.study(study)
        return page("study.html", view=view, images=studies.key_images(view), dicomweb=dicomweb)

    @router.get("/docs", response_class=HTMLResponse, summary="This interface, readable")
    def interface(request: Request) -> HTMLResponse:
        return page("interface.html", api=request.app.openapi())

    return router


def static_files() -> StaticFiles:
    """Style sheets of the pages, to mount at `/static`."""
    return StaticFiles(directory=STATIC)


def picture(image: KeyImage, dicomweb: str) -> str:
    """The URL of a key image: rendered by DICOMweb, with the mask drawn over it where there is one."""
    path = f"/studies/{image.study}/series/{image.series}/instances/{image.sop}"
    drawn = [("seg", image.segmentation)] if image.segmentation else []
    drawn += [("mark", ",".join(f"{value:.1f}" for value in circle)) for circle in image.circles]
    if drawn:
        return f"/overlay{path}?{urlencode([*drawn, ('frame', str(image.frame))])}"
    return f"{dicomweb}{path}/frames/{image.frame}/rendered"


def number(value: float) -> str:
    """Up to four significant digits, as a report would say it."""
    if value == int(value) and abs(value) < 1e6:  # noqa: PLR2004 - more digits than a finding has
        return str(int(value))
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"  # noqa: PLR2004


def unit(code: Code) -> str:
    """A UCUM unit as people write it."""
    return {"1": "", "[hnsf'U]": "HU", "{ratio}": ""}.get(code.value, code.value)
