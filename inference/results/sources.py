"""Headers of the source images as data sets: what result objects copy from them, and no more."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pydicom import DataElement, Dataset, config
from pydicom.datadict import tag_for_keyword
from pydicom.valuerep import validate_value

from inference.uids import uid_from

# Patient, Patient Study and General Study Modules (PS3.3 C.7.1.1, C.7.2).
PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "TypeOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "OtherPatientIDsSequence",
    "EthnicGroup",
    "PatientComments",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "TimezoneOffsetFromUTC",
)
IMAGE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "Modality",
    "ImageType",
    "Manufacturer",
    "Rows",
    "Columns",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "PatientOrientation",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "NumberOfFrames",
    "DimensionOrganizationSequence",
    "DimensionIndexSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
# Type 2 in the objects we write (PS3.3 C.7.1.1, C.7.2.1): empty where the images do not say.
EMPTY_WHEN_MISSING = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "Manufacturer",
)


def _tags(*keywords: str) -> frozenset[str]:
    return frozenset(f"{tag_for_keyword(keyword):08X}" for keyword in keywords)


_OF_IMAGES = _tags("StudyInstanceUID", *IMAGE)
_OF_SLICES = _tags("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient")
"""In these the slices of a series differ."""
_TAGS = _tags(*PATIENT_AND_STUDY) | _OF_IMAGES
_OFFSET = re.compile(r"[+-](0[0-9]|1[0-4])[0-5][0-9]")
_PLAIN = frozenset({"DS", "IS", "UI"})
"""Values are in the data set as they are in JSON."""
_SEXES = ("M", "F", "O")


def source_images(headers: Iterable[bytes]) -> list[Dataset]:
    """Data sets without pixels from stored headers (DICOM JSON model, PS3.18 F, UTF-8)."""
    images: list[Dataset] = []
    first: Mapping[str, Any] = {}
    for header in headers:
        attributes = json.loads(header)
        image = _slice_beside(images[0], first, attributes) if images else None
        images.append(image or source_image(attributes))
        first = first or attributes
    for image in images:
        # Type 2 in a CT, but in the masks over it wanted where slices have a place (PS3.3 C.7.6.16.2.1).
        if "ImagePositionPatient" in image and not image.get("SliceThickness"):
            image.SliceThickness = _distance(images)
    return images


def _slice_beside(image: Dataset, header: Mapping[str, Any], attributes: Mapping[str, Any]) -> Dataset | None:
    """Another slice of a series: elements that are those of `image` are shared with it.

    What is of the patient and the study is said by the first image.

    Returns:
        None where the two differ in more than slices of a series do.
    """
    named = _OF_IMAGES & attributes.keys()
    own = [tag for tag in named if attributes[tag] != header.get(tag)]
    made = {tag: _element(tag, attributes[tag]) for tag in own if tag in _OF_SLICES}
    if named != _OF_IMAGES & header.keys() or len(made) < len(own) or None in made.values():
        return None
    elements = {element.tag: element for element in image} | {
        each.tag: each for each in made.values() if each
    }
    return Dataset(elements)


def _distance(images: Sequence[Dataset]) -> float:
    """From one slice to the next, in mm; 1 where there is no next one."""
    places = [np.array(image.ImagePositionPatient, float) for image in images[:2]]
    apart = float(np.linalg.norm(places[-1] - places[0]))
    return float(f"{apart:.6g}") or 1.0


def source_image(attributes: Mapping[str, Any]) -> Dataset:
    """What results take over from one image: its header (DICOM JSON model, PS3.18 F).

    Dates, codes and UIDs that break the standard's rules are left out: lenient in, strict out. Text is kept.
    """
    dataset = Dataset()
    for tag, attribute in attributes.items():
        if tag in _TAGS and (element := _element(tag, attribute)) is not None:
            dataset.add(element)
    # The JSON is UTF-8 whatever the image was written in, and so are the objects made from it.
    dataset.SpecificCharacterSet = "ISO_IR 192"
    if dataset.get("PatientSex") not in _SEXES:
        dataset.PatientSex = ""
    if not _OFFSET.fullmatch(dataset.get("TimezoneOffsetFromUTC") or "+0000"):
        del dataset.TimezoneOffsetFromUTC
    for keyword in EMPTY_WHEN_MISSING:
        if keyword not in dataset:
            setattr(dataset, keyword, None)
    _place(dataset)
    return dataset


def _place(image: Dataset) -> None:
    """Make sure that images with a place have a frame of reference, and those without have none."""
    if "ImagePositionPatient" in image and "ImageOrientationPatient" in image:
        if not image.get("FrameOfReferenceUID"):
            image.FrameOfReferenceUID = uid_from("frame of reference", image.SeriesInstanceUID)
    elif "PerFrameFunctionalGroupsSequence" not in image:
        image.pop("FrameOfReferenceUID", None)
        image.pop("ImagePositionPatient", None)


def _element(tag: str, attribute: Mapping[str, Any]) -> DataElement | None:
    if not _usable(attribute):
        return None
    if attribute["vr"] in _PLAIN and attribute.get("Value"):
        return DataElement(int(tag, 16), attribute["vr"], attribute["Value"])
    return Dataset.from_json({tag: attribute})[tag]


def _usable(element: Mapping[str, Any]) -> bool:
    if "BulkDataURI" in element:
        return False
    if element["vr"] not in {"AS", "CS", "DA", "TM", "UI"}:
        return True
    return all(_valid(element["vr"], value) for value in element.get("Value", []))


def _valid(vr: str, value: object) -> bool:
    try:
        validate_value(vr, value, config.RAISE)
    except ValueError:
        return False
    return True
