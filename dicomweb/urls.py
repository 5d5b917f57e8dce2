"""Absolute addresses of what is stored, as clients see them."""

import re
from dataclasses import dataclass

from fastapi import Request

from storage.instances import InstanceKey

_RESOURCE = re.compile(r"/(studies|series|instances)(/|$)")


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
        return cls(str(request.url.replace(path=prefix, query="", fragment="")).rstrip("/?#"))

    def study(self, study: str) -> str:
        """Retrieve URL of a study."""
        return f"{self.base}/studies/{study}"

    def series(self, study: str, series: str) -> str:
        """Retrieve URL of a series."""
        return f"{self.study(study)}/series/{series}"

    def instance(self, key: InstanceKey) -> str:
        """Retrieve URL of an instance."""
        return f"{self.series(key.study, key.series)}/instances/{key.sop}"
