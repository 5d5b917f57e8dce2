"""The routers that an application mounts, and the error answers they rely on."""

from fastapi import APIRouter, FastAPI

from dicomweb.all_bulkdata import add_all_bulkdata
from dicomweb.bulkdata import add_bulkdata
from dicomweb.cache import ByteCache
from dicomweb.capabilities import add_capabilities
from dicomweb.changefeed import add_change_feed
from dicomweb.commitment import add_commitment
from dicomweb.delete import add_delete
from dicomweb.documented import problems
from dicomweb.encoded import EncodedFrames
from dicomweb.finding_search import FindingSearch
from dicomweb.frames import add_frames
from dicomweb.metadata import add_metadata
from dicomweb.non_patient import add_non_patient
from dicomweb.problems import add_error_handlers
from dicomweb.qido import add_search
from dicomweb.rendered_routes import rendered_router
from dicomweb.routes import CompressedRoute, DirectPaths, DirectRoute
from dicomweb.stow import add_store
from dicomweb.wado import add_retrieve
from dicomweb.wado_uri import wado_uri_router
from storage.archive import Archive
from storage.spool import Spool

__all__ = ["add_dicomweb", "add_error_handlers", "wado_uri_router"]


def add_dicomweb(
    app: FastAPI,
    prefix: str,
    archive: Archive,
    spool: Spool,
    *,
    base_url: str | None = None,
    max_request_bytes: int | None = None,
    deletion: bool = True,
    read_up_to: int = 1 << 30,
    findings: FindingSearch | None = None,
) -> None:
    """Add the Studies Service (PS3.18 10): store, search, retrieve, and deletion.

    The application needs `add_error_handlers`; middleware that is added later stands before it.

    Args:
        app: what serves it.
        prefix: path of its root.
        archive: where instances are stored.
        spool: where requests are received.
        base_url: address of the service as clients see it, for the addresses in its answers. Without one the
            request's own is used, which is wrong behind a proxy and for clients that send a wrong Host.
        max_request_bytes: greatest body of a store request; None for as much as the spool holds.
        deletion: clients may delete.
        read_up_to: bytes; for a storage commitment bigger files are not read again to compare their digest.
        findings: finds studies by their findings; without it there is no such search.
    """
    router = APIRouter()
    plain = (
        "Capabilities",
        "STOW-RS",
        "Delete",
        "Change feed",
        "Storage Commitment",
        "Non-Patient Instance",
    )
    services = {name: APIRouter(tags=[name]) for name in plain}
    octets = APIRouter(tags=["WADO-RS"], route_class=DirectRoute)
    texts = {name: APIRouter(tags=[name], route_class=CompressedRoute) for name in ("QIDO-RS", "WADO-RS")}
    encoded = EncodedFrames(archive, ByteCache())
    add_capabilities(services["Capabilities"], base_url)
    add_store(services["STOW-RS"], archive, spool, base_url, max_request_bytes)
    add_search(texts["QIDO-RS"], archive, base_url, findings)
    add_retrieve(octets, archive)
    add_metadata(texts["WADO-RS"], archive, ByteCache(), base_url)
    add_frames(octets, archive, encoded)
    add_all_bulkdata(octets, encoded, base_url)
    add_bulkdata(octets, archive, encoded)
    add_delete(services["Delete"], archive, allowed=deletion)
    add_change_feed(services["Change feed"], archive)
    add_commitment(services["Storage Commitment"], archive, read_up_to)
    add_non_patient(services["Non-Patient Instance"], archive.non_patient, spool, base_url, max_request_bytes)
    for service in (octets, *texts.values(), *services.values()):
        router.include_router(service)
    router.include_router(rendered_router(archive), responses=problems(400, 404, 406))
    app.include_router(router, prefix=prefix)
    direct = [route for service in (octets, *texts.values()) for route in service.routes]
    app.add_middleware(DirectPaths, routes=direct, prefix=prefix)
