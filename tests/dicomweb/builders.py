"""Instances that are valid by default; a test sets only what it is about."""

import io
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"


def image(**attributes: Any) -> Dataset:
    """A CT image of 4 x 6 pixels, number 1 of series 1.2.1 of study 1.2."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = (
        CT,
        "1.2",
        "1.2.1",
        "1.2.1.1",
    )
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^Jane", "P1", "19700101", "F"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20240131", "101500", "S1", "A1"
    ds.ReferringPhysicianName, ds.StudyDescription = "Ref^Erring", "Chest"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 1, 1
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 4, 6, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    ds.PixelData = np.arange(24, dtype="<u2").tobytes()
    ds["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def part10(ds: Dataset | None = None, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """The DICOM file of `ds`, or of an image with `attributes`."""
    ds = image(**attributes) if ds is None else ds
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def protocol(syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """A hanging protocol with a big value."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = HANGING_PROTOCOL, "2.25.1"
    ds.HangingProtocolName, ds.HangingProtocolLevel, ds.ICCProfile = "Chest pair", "SITE", bytes(4000)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return part10(ds, syntax)


def multiframe(frames: int = 3, **attributes: Any) -> bytes:
    """An image of several frames; frame n has the samples n * 100 and following."""
    pixels = np.arange(24)[None] + 100 * np.arange(1, frames + 1)[:, None]
    return part10(NumberOfFrames=frames, PixelData=pixels.astype("<u2").tobytes(), **attributes)


def compressed(frames: list[bytes], syntax: str, **attributes: Any) -> bytes:
    """An image with encapsulated pixel data; `frames` of even length."""
    ds = image(NumberOfFrames=len(frames), **attributes)
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return part10(ds, syntax)


def multipart(
    *files: bytes, boundary: str = "b0undary", part_type: str | None = "application/dicom"
) -> bytes:
    """A multipart body of `files`."""
    head = b"" if part_type is None else f"Content-Type: {part_type}\r\n".encode()
    parts = [b"--" + boundary.encode() + b"\r\n" + head + b"\r\n" + file + b"\r\n" for file in files]
    return b"".join(parts) + b"--" + boundary.encode() + b"--\r\n"
