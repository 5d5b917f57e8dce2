"""Delete by address: not in PS3.18, but what clients that can delete agree on."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomweb.documented import INSTANCE, SERIES, STUDY, Key, Responses, Series, Study, problems
from dicomweb.problems import Forbidden
from storage.archive import Archive
from storage.instances import Origin

_RESPONSES: Responses = {
    204: {"description": "It is deleted; an administrator may bring it back for some time"},
    **problems(400, 403, 404),
}


def add_delete(router: APIRouter, archive: Archive, *, allowed: bool) -> None:
    """Delete a study, a series or an instance, where that is `allowed`."""

    def delete(request: Request, study: str, series: str | None = None, sop: str | None = None) -> Response:
        if not allowed:
            raise Forbidden("deletion is switched off here (web.deletion)")
        address = request.client.host if request.client else ""
        agent = request.headers.get("user-agent", "")[:64]
        archive.delete(study, series, sop, origin=Origin("review", agent, address))
        return Response(status_code=204)

    @router.delete(STUDY, summary="Delete a study", status_code=204, responses=_RESPONSES)
    def delete_study(request: Request, study: Study) -> Response:
        return delete(request, study)

    @router.delete(SERIES, summary="Delete a series", status_code=204, responses=_RESPONSES)
    def delete_series(request: Request, study: Study, series: Series) -> Response:
        return delete(request, study, series)

    @router.delete(INSTANCE, summary="Delete an instance", status_code=204, responses=_RESPONSES)
    def delete_instance(request: Request, key: Key) -> Response:
        return delete(request, key.study, key.series, key.sop)
