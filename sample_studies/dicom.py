"""Phantoms as DICOM: CT slices (PS3.3 A.3) and a digital radiograph (PS3.3 A.26), one Part 10 file each."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from sample_studies.chest import ChestPhantom
from sample_studies.radiograph import project

GENERATOR = "1"
"""Version of the voxels: another one gives other UIDs, so that equal UIDs mean equal bytes."""

Plane = Literal["axial", "sagittal"]
_DATE, _TIME = "20260107", "093000"
_ROOT = "org.isocenter.sample"
_UUID_VERSION_8, _UUID_VARIANT = 0x8, 0b10


@dataclass(frozen=True)
class Patient:
    """Who a sample study pretends to be of."""

    name: str = "Sample^Study"
    identifier: str = "SAMPLE-0"
    sex: Literal["F", "M", "O"] = "O"
    birth_date: str = "19600101"
    accession: str = "SAMPLE0"


def uid(*parts: object) -> str:
    """A UID (PS3.5 B.2) that names `parts`: equal parts, equal UID, on every machine and day."""
    digest = hashlib.sha256("\0".join([_ROOT, GENERATOR, *map(str, parts)]).encode()).digest()
    number = int.from_bytes(digest[:16])
    number = number & ~(0xF << 76) | _UUID_VERSION_8 << 76
    number = number & ~(0b11 << 62) | _UUID_VARIANT << 62
    return f"2.25.{number}"


def write_ct(
    phantom: ChestPhantom,
    folder: Path,
    patient: Patient | None = None,
    *,
    plane: Plane = "axial",
    tilt: float = 0.0,
    head_first: bool = False,
    skip: Collection[int] = (),
) -> list[Path]:
    """Write a phantom as a CT series.

    Args:
        phantom: what to write.
        folder: gets `CT0001.dcm` and so on; it is made when missing.
        patient: whose study it is.
        plane: "sagittal" cuts the same voxels from right to left.
        tilt: degrees by which the header says that the gantry was tilted.
        head_first: number the slices from the head, not from the feet (right to left).
        skip: slices, counted from 0 in order of writing, that are left out.

    Returns:
        The files in order of their Instance Number.
    """
    patient = patient or Patient()
    stack = _axial(phantom, tilt) if plane == "axial" else _sagittal(phantom)
    count = len(stack.pixels)
    order = range(count)[::-1] if head_first else range(count)
    series = ("ct", phantom, patient, plane, tilt, head_first)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, index in enumerate(order, start=1):
        if number - 1 in skip:
            continue
        ds = _ct_slice(phantom, patient, stack, index)
        _identify(ds, patient, series, number)
        paths.append(_save(ds, folder / f"CT{number:04d}.dcm"))
    return paths


def write_dx(phantom: ChestPhantom, folder: Path, patient: Patient | None = None) -> list[Path]:
    """Write the postero-anterior radiograph of a phantom as one DX image, FOR PRESENTATION.

    Returns:
        The one file, `DX0001.dcm`; `folder` is made when missing.
    """
    patient = patient or Patient()
    pixels, pixel_mm = project(phantom)
    ds = _dx_image(pixels, pixel_mm)
    _identify(ds, patient, ("dx", phantom, patient), 1)
    folder.mkdir(parents=True, exist_ok=True)
    return [_save(ds, folder / "DX0001.dcm")]


@dataclass(frozen=True)
class _Stack:
    """Slices with the geometry of PS3.3 C.7.6.2."""

    pixels: npt.NDArray[np.int16]
    spacing: tuple[float, float]
    orientation: tuple[float, ...]
    first: tuple[float, float, float]
    step: tuple[float, float, float]


def _axial(phantom: ChestPhantom, tilt: float) -> _Stack:
    grid = phantom.grid
    angle = np.radians(tilt)
    return _Stack(
        pixels=phantom.hu,
        spacing=grid.spacing[1:],
        orientation=(1, 0, 0, 0, float(np.cos(angle)), float(np.sin(angle))),
        first=(float(grid.x[0]), float(grid.y[0]), float(grid.z[0])),
        step=(0, 0, phantom.spacing),
    )


def _sagittal(phantom: ChestPhantom) -> _Stack:
    grid = phantom.grid
    return _Stack(
        pixels=phantom.hu[::-1].transpose(2, 0, 1),
        spacing=(phantom.spacing, grid.spacing[1]),
        orientation=(0, 1, 0, 0, 0, -1),
        first=(float(grid.x[0]), float(grid.y[0]), float(grid.z[-1])),
        step=(grid.spacing[2], 0, 0),
    )


def _ct_slice(phantom: ChestPhantom, patient: Patient, stack: _Stack, index: int) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    ds.StudyDescription, ds.SeriesDescription = "CT chest (phantom)", "Chest, lung and soft tissue"
    ds.BodyPartExamined = "CHEST"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = uid("frame of reference", phantom, patient)
    ds.PositionReferenceIndicator = None
    position = [first + index * step for first, step in zip(stack.first, stack.step, strict=True)]
    ds.ImagePositionPatient = [_decimal(value) for value in position]
    ds.ImageOrientationPatient = [_decimal(value) for value in stack.orientation]
    ds.SliceThickness = _decimal(max(stack.step))
    ds.SliceLocation = _decimal(sum(p for p, step in zip(position, stack.step, strict=True) if step))
    ds.PixelSpacing = [_decimal(value) for value in stack.spacing]
    ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime = "120", "200", "500"
    ds.ConvolutionKernel = "STANDARD"
    ds.GantryDetectorTilt = _decimal(
        float(np.degrees(np.arctan2(stack.orientation[5], stack.orientation[4])))
    )
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    ds.WindowCenter, ds.WindowWidth = ["-600", "40"], ["1500", "400"]
    ds.WindowCenterWidthExplanation = ["LUNG", "MEDIASTINUM"]
    if phantom.padding is not None:
        ds.add_new("PixelPaddingValue", "SS", phantom.padding)
    _add_pixels(ds, stack.pixels[index], bits=16)
    return ds


def _dx_image(pixels: npt.NDArray[np.uint16], pixel_mm: float) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.Modality, ds.PresentationIntentType = "DX", "FOR PRESENTATION"
    ds.StudyDescription, ds.SeriesDescription = "Chest radiograph (phantom)", "Chest PA"
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", "PA"
    ds.ImageType = ["DERIVED", "PRIMARY", ""]
    ds.DerivationDescription = "Parallel projection of a synthetic CT"
    ds.PatientOrientation = ["L", "F"]
    ds.ImageLaterality = "U"
    ds.AnatomicRegionSequence = [_code("43799004", "SCT", "Thorax")]
    ds.ViewCodeSequence = [_code("272479007", "SCT", "postero-anterior")]
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = []
    ds.AcquisitionContextSequence = []
    ds.PositionerType = "NONE"
    ds.DetectorType = "DIRECT"
    ds.ImagerPixelSpacing = [_decimal(pixel_mm)] * 2
    ds.PixelSpacing = [_decimal(pixel_mm)] * 2
    ds.PixelSpacingCalibrationType, ds.PixelSpacingCalibrationDescription = "GEOMETRY", "parallel beam"
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.PresentationLUTShape = "IDENTITY"
    ds.WindowCenter, ds.WindowWidth = "2048", "4096"
    _add_pixels(ds, pixels, bits=12)
    return ds


def _identify(ds: Dataset, patient: Patient, series: tuple[object, ...], number: int) -> None:
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = patient.name, patient.identifier
    ds.PatientBirthDate, ds.PatientSex = patient.birth_date, patient.sex
    ds.QualityControlSubject = "YES"
    ds.StudyInstanceUID = uid("study", *series)
    ds.SeriesInstanceUID = uid("series", *series)
    ds.SOPInstanceUID = uid("instance", *series, number)
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = _DATE
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = _TIME
    ds.AccessionNumber, ds.StudyID = patient.accession, "1"
    ds.ReferringPhysicianName = None
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 1, 1, number
    ds.Manufacturer, ds.ManufacturerModelName = "Isocenter", "sample_studies"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", GENERATOR
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"


def _add_pixels(ds: Dataset, pixels: npt.NDArray[np.int16] | npt.NDArray[np.uint16], bits: int) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits, bits - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    little_endian = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    ds.add_new("PixelData", "OW", np.ascontiguousarray(little_endian).tobytes())


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def _decimal(value: float) -> str:
    """A Decimal String (PS3.5 6.2) to a tenth of a micrometre."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _save(ds: Dataset, path: Path) -> Path:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = uid("implementation")
    ds.file_meta.ImplementationVersionName = "ISOCENTER_SAMPLE"
    dcmwrite(path, ds, enforce_file_format=True)
    return path
