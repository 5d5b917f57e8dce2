"""Headers of small series and analyses over them, valid by default."""

import copy
import hashlib
from dataclasses import replace
from io import BytesIO

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from inference.findings import (
    Analysis,
    Code,
    Finding,
    Measurement,
    ModelIdentity,
    Point,
    Score,
    Segment,
    SourceFrame,
)
from storage.instances import InstanceKey, StoredInstance

STUDY, SERIES = "2.25.100", "2.25.101"
LUNG = Code("39607008", "SCT", "Lung")
NODULE = Code("27925004", "SCT", "Nodule")
CARDIOMEGALY = Code("8186001", "SCT", "Cardiomegaly")
RIGHT, LEFT = Code("24028007", "SCT", "Right"), Code("7771000", "SCT", "Left")
ORGAN = Code("91723000", "SCT", "Anatomical Structure")
VOLUME, DIAMETER = Code("118565006", "SCT", "Volume"), Code("81827009", "SCT", "Diameter")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
MEAN = Code("373098007", "SCT", "Mean")
ML, MM, HU = Code("ml", "UCUM", "ml"), Code("mm", "UCUM", "mm"), Code("[hnsf'U]", "UCUM", "Hounsfield unit")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")

MODEL = ModelIdentity(
    name="ct-lung-density",
    version="1.0.0",
    title="CT lung density",
    manufacturer="Isocenter",
    digest=hashlib.sha256(b"model").hexdigest(),
    card_digest=hashlib.sha256(b"card").hexdigest(),
    runtime=(("runtime", "onnxruntime 1.32.0"), ("provider", "CPUExecutionProvider")),
)


def ct_header(number: int, *, rows: int = 32, columns: int = 32, spacing: float = 2.5, **changes) -> Dataset:
    """One slice of an axial CT; `changes` by keyword, None removes."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = f"{changes.get('SeriesInstanceUID', SERIES)}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, SERIES, f"{STUDY}.9"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Lung^Lena", "P-1", "19600102", "F"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260102", "101112", "S1", "A1"
    ds.ReferringPhysicianName, ds.StudyDescription = "Doc^Tor", "Chest CT"
    ds.Modality, ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "CT", "ACME", 2, number
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.Columns, ds.PixelSpacing, ds.SliceThickness = rows, columns, [0.7, 0.7], spacing
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [-10, -20, spacing * number]
    ds.PositionReferenceIndicator = ""
    return _changed(ds, changes)


def film_header(**changes) -> Dataset:
    """One chest film."""
    ds = ct_header(1, rows=64, columns=48)
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "SliceThickness", "PixelSpacing"):
        delattr(ds, keyword)
    ds.SOPClassUID, ds.Modality, ds.ImagerPixelSpacing = (
        DigitalXRayImageStorageForPresentation,
        "DX",
        [0.2, 0.2],
    )
    del ds.FrameOfReferenceUID
    return _changed(ds, changes)


def _changed(ds: Dataset, changes: dict) -> Dataset:
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def part10(header: Dataset) -> bytes:
    """The file of an image: dark in its middle, water elsewhere."""
    ds = copy.deepcopy(header)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    pixels = np.zeros((ds.Rows, ds.Columns), np.int16)
    pixels[8:16, 8:24] = -900
    ds.PixelData = pixels.tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def stored(header: Dataset) -> StoredInstance:
    key = InstanceKey(header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID)
    digest = hashlib.sha256(header.SOPInstanceUID.encode()).hexdigest()
    return StoredInstance(key, header.SOPClassUID, ExplicitVRLittleEndian, 1000, digest, "blob")


def ct_series(slices: int = 6, **changes) -> list[Dataset]:
    return [ct_header(number, **changes) for number in range(1, slices + 1)]


def analysis(headers: list[Dataset], **changes) -> Analysis:
    instances = tuple(stored(header) for header in headers)
    frames = tuple(SourceFrame(instance) for instance in instances)
    return replace(Analysis(MODEL, instances, frames), **changes)


def lungs(headers: list[Dataset], **changes) -> Analysis:
    """Right lung on slices 2 to 5, left on 2 to 4; volume and density of each and of both."""
    labels = np.zeros((len(headers), headers[0].Rows, headers[0].Columns), np.uint8)
    labels[1:5, 4:20, 3:12] = 1
    labels[1:4, 4:20, 18:28] = 2
    segments = tuple(
        Segment(number, label, ORGAN, LUNG, side, colour, labels, values)
        for number, label, side, colour, values in (
            (1, "Right lung", RIGHT, (80, 160, 240), (1,)),
            (2, "Left lung", LEFT, (240, 160, 80), (2,)),
        )
    )
    findings = tuple(
        Finding(
            key=key,
            code=LUNG,
            presence="not stated",
            laterality=side,
            segment=segment,
            measurements=(
                Measurement(VOLUME, volume, ML),
                Measurement(ATTENUATION, -868.4612345678, HU, derivation=MEAN),
            ),
        )
        for key, side, segment, volume in (
            ("right lung", RIGHT, 1, 2123.123456789),
            ("left lung", LEFT, 2, 1875.5),
        )
    )
    return analysis(headers, segments=segments, findings=findings, **changes)


def candidates(headers: list[Dataset], **changes) -> Analysis:
    """Two places that may be nodules."""
    places = (("candidate 1", 3, 10.25, 12.75, 6.1, 0.81), ("candidate 2", 5, 20.1, 8.3, 4.0, 0.52))
    findings = tuple(
        Finding(
            key=key,
            code=NODULE,
            site=LUNG,
            laterality=RIGHT,
            score=Score(score, CERTAINTY),
            geometry=Point(SourceFrame(stored(headers[index])), column, row, None, diameter),
            measurements=(Measurement(DIAMETER, diameter, MM),),
            note="Candidate, not a diagnosis",
        )
        for key, index, column, row, diameter, score in places
    )
    return analysis(headers, findings=findings, looked_for=(NODULE,), **changes)


def film_scores(headers: list[Dataset], **changes) -> Analysis:
    """A classifier's answer on one film."""
    film = SourceFrame(stored(headers[0]))
    findings = (
        Finding("Cardiomegaly", CARDIOMEGALY, score=Score(0.9996, CERTAINTY), source=film),
        Finding("Nodule", NODULE, presence="absent", score=Score(0.0123, CERTAINTY), source=film),
    )
    return analysis(headers, findings=findings, looked_for=(CARDIOMEGALY, NODULE), **changes)
