"""Absolute addresses of what is stored, as clients see them."""

import re
from dataclasses import dataclass

from fastapi import Request

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
        path = request.url.path
        resource = _RESOURCE.search(path)
        prefix = path[: resource.start()] if resource else path.rstrip("/")
        url = request.url.replace(path=prefix, query="", fragment="")
        server = request.scope.get("server")
        if url.port is None and url.hostname in _LOOPBACK and server and server[1] not in {None, 80}:
            # Some clients leave the port out of Host; on loopback no proxy stands before us that has its own.
            url = url.replace(port=server[1])
        return cls(str(url).rstrip("/?#"))

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
