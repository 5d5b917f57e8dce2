"""Result objects as files: no clock, no chance, so that every run of a work item writes the same bytes."""

from datetime import datetime

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from inference.findings import Code
from inference.results.elements import Elements, data_set, elements, elements_of, item
from inference.results.items import coded
from inference.results.sources import PATIENT_AND_STUDY
from inference.uids import uid_from

IMPLEMENTATION_CLASS = uid_from("isocenter", "implementation")
IMPLEMENTATION_VERSION = "ISOCENTER"
_ACQUISITION = Code("109101", "DCM", "Acquisition Equipment")


def part10(sop_class: str, sop: str, written: Elements) -> bytes:
    """The file of an instance (PS3.10 7): preamble, File Meta Information, data set."""
    meta = item(
        FileMetaInformationVersion=b"\0\1",
        MediaStorageSOPClassUID=sop_class,
        MediaStorageSOPInstanceUID=sop,
        TransferSyntaxUID=ExplicitVRLittleEndian,
        ImplementationClassUID=IMPLEMENTATION_CLASS,
        ImplementationVersionName=IMPLEMENTATION_VERSION,
    )
    length = item(FileMetaInformationGroupLength=len(meta))
    ds = data_set(written | elements(SOPClassUID=sop_class, SOPInstanceUID=sop))
    return b"".join([bytes(128), b"DICM", length, meta, ds])


def inherited(image: Dataset) -> Elements:
    """What a result takes over from its first image: patient, study, time zone, what acquired it."""
    taken = Dataset()
    for keyword in ("SpecificCharacterSet", *PATIENT_AND_STUDY):
        if keyword in image:
            taken.add(image[keyword])
    written = elements_of(taken)
    if image.get("Manufacturer"):
        acquired = item(
            Manufacturer=image.Manufacturer,
            ContributionDescription="Acquisition equipment of the source image(s)",
            PurposeOfReferenceCodeSequence=[coded(_ACQUISITION)],
        )
        written |= elements(ContributingEquipmentSequence=[acquired])
    return written


def dates(at: datetime, offset: str | None, *kinds: str) -> dict[str, str]:
    """Dates and times of all kinds (`Content`, `Series`, …), which all say `at`; see `dated`."""
    date, time = dated(at, offset)
    return {f"{kind}{unit}": value for kind in kinds for unit, value in (("Date", date), ("Time", time))}


def dated(at: datetime, offset: str | None) -> tuple[str, str]:
    """Date and time (DA, TM) of a moment.

    Args:
        at: the moment.
        offset: Timezone Offset From UTC of the images, whose times stand in the result too (PS3.3
            C.12.1.1.8); where they name none, times are those of this machine.
    """
    local = at.astimezone(datetime.strptime(offset, "%z").tzinfo if offset else None)
    return f"{local:%Y%m%d}", f"{local:%H%M%S.%f}"
