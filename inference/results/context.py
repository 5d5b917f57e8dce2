"""What result objects need beside the analysis: whose images, in which work item, made when."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inference.findings import ModelIdentity
from inference.uids import uid_from

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
COMPREHENSIVE_3D_SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88.34"
UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"

MANUFACTURER = "Isocenter"
"""Of what this system says itself; reports of models carry the model's."""
VERIFIED_SERIES_NUMBER = 902


@dataclass(frozen=True, slots=True)
class Report:
    """A stored structured report, to be named as predecessor."""

    study: str
    series: str
    sop: str


@dataclass(frozen=True, slots=True)
class ResultContext:
    """Everything that makes two runs of one work item write the same bytes."""

    work_item: str
    at: datetime
    """The moment that all dates and times of the objects tell: when the work item was created."""
    predecessor: Report | None = None

    def uid(self, *parts: str) -> str:
        """A UID that belongs to this work item alone and is the same in every run."""
        return uid_from(self.work_item, *parts)

    @property
    def report(self) -> str:
        """SOP Instance UID of the structured report."""
        return self.uid("SR")

    @property
    def segmentation(self) -> str:
        """SOP Instance UID of the segmentation."""
        return self.uid("SEG")


def equipment(model: ModelIdentity) -> dict[str, Any]:
    """Enhanced General Equipment (PS3.3 C.7.5.2): the device is the model, its serial number the digest."""
    return {
        "Manufacturer": model.manufacturer,
        "ManufacturerModelName": model.title,
        "SoftwareVersions": list(_software(model)),
        "DeviceSerialNumber": model.digest,
    }


def _software(model: ModelIdentity) -> Iterator[str]:
    yield f"{model.name} {model.version}"
    yield from (value for name, value in model.runtime if name == "runtime")
