"""Result objects as bytes: no clock, no chance, so that every run of a work item writes the same ones."""

from datetime import datetime

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info

from inference.results.elements import data_set_bytes
from inference.uids import uid_from

IMPLEMENTATION_CLASS = uid_from("isocenter", "implementation")
IMPLEMENTATION_VERSION = "ISOCENTER"


def encoded(result: Dataset, at: datetime, offset: str | None) -> bytes:
    """The Part 10 file of a result whose dates and times all say `at`.

    Args:
        result: as highdicom makes it.
        at: the moment.
        offset: Timezone Offset From UTC of the images, whose times stand in the result too (PS3.3
            C.12.1.1.8); where they name none, times are those of this machine.
    """
    if offset:
        result.TimezoneOffsetFromUTC = offset
    date, time = dated(at, offset)
    for name in ("InstanceCreation", "Content", "Series"):
        setattr(result, f"{name}Date", date)
        setattr(result, f"{name}Time", time)
    # The last one is highdicom itself; those before it tell when the images were acquired.
    result.ContributingEquipmentSequence[-1].ContributionDateTime = date + time
    result.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS
    result.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    buffer = DicomBytesIO()
    buffer.write(bytes(128) + b"DICM")
    write_file_meta_info(buffer, result.file_meta)
    buffer.write(data_set_bytes(result))
    return bytes(buffer.getvalue())


def dated(at: datetime, offset: str | None) -> tuple[str, str]:
    """Date and time (DA, TM) of a moment at an offset as in Timezone Offset From UTC."""
    local = at.astimezone(datetime.strptime(offset, "%z").tzinfo if offset else None)
    return f"{local:%Y%m%d}", f"{local:%H%M%S.%f}"
