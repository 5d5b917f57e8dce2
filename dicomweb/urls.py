"""Absolute addresses of what is stored, as clients see them."""

import re
from dataclasses import dataclass
from functools import lru_cache

from fastapi import Request
from starlette.datastructures import URL

from storage.instances import InstanceKey
from storage.non_patient import CATEGORIES

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_RESOURCES = ("studies", "series", "instances", "workitems", *CATEGORIES)
_RESOURCE = re.compile(rf"/({'|'.join(_RESOURCES)})(/|$)")


@dataclass(frozen=True, slots=True)
class ServiceUrl:
    """The base of a DICOMweb service, without a slash at its end."""

    base: str

    @classmethod
    def of(cls, request: Request, configured: str | None) -> "ServiceUrl":
        """The configured base; without one, the address that `request` to one of our resources went to."""
        if configured is not None:
            return cls(configured.rstrip("/"))
        scope = request.scope
        resource = _RESOURCE.search(scope["path"])
        prefix = scope["path"][: resource.start()] if resource else scope["path"].rstrip("/")
        return cls(_address(scope["scheme"], request.headers.get("host"), scope.get("server"), prefix))

    def study(self, study: str) -> str:
        """Retrieve URL of a study."""
        return f"{self.base}/studies/{study}"

    def series(self, study: str, series: str) -> str:
        """Retrieve URL of a series."""
        return f"{self.study(study)}/series/{series}"

    def instance(self, key: InstanceKey) -> str:
        """Retrieve URL of an instance."""
        return f"{self.series(key.study, key.series)}/instances/{key.sop}"

    def non_patient(self, category: str, sop: str) -> str:
        """Retrieve URL of an instance that belongs to no patient."""
        return f"{self.base}/{category}/{sop}"


@lru_cache(maxsize=256)
def _address(scheme: str, host: str | None, server: tuple[str, int | None] | None, path: str) -> str:
    """The address of a path here, as who asked for something by this Host sees it."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    url = URL(scope={"scheme": scheme, "server": server, "path": path, "headers": headers})
    if url.port is None and url.hostname in _LOOPBACK and server and server[1] not in {None, 80}:
        # Some clients leave the port out of Host; on loopback no proxy stands before us that has its own.
        url = url.replace(port=server[1])
    return str(url).rstrip("/?#")
