"""Valid Part 10 files; a test sets only what it is about."""

from io import BytesIO
from typing import Any

from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from dicom_node.part10 import file_head
from storage.part10 import read_meta
from storage.spool import Spool, SpoolFile

STUDY, SERIES, SOP = "1.2.826.0.1.1", "1.2.826.0.1.1.1", "1.2.826.0.1.1.1.1"


def ct(**attributes: Any) -> Dataset:
    """A CT image of four by four pixels."""
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": SOP,
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "StudyDate": "20240229",
        "StudyTime": "101500",
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "Röntgen^Wilhelm",
        "StudyDescription": "Thorax nativ",
        "SeriesDescription": "Lunge 2.5 mm",
        "PatientName": "Triangle^Red",
        "PatientID": "P1",
        "PatientBirthDate": "19500101",
        "PatientSex": "F",
        "StudyID": "S1",
        "Modality": "CT",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "Rows": 4,
        "Columns": 4,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelData": bytes(range(32)),
    }
    dataset = Dataset()
    with config.disable_value_validation():
        for keyword, value in (values | attributes).items():
            if value is not None:
                setattr(dataset, keyword, value)
    return dataset


def part10(transfer_syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    dataset = ct(**attributes)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    with config.disable_value_validation():
        dataset.save_as(buffer := BytesIO(), enforce_file_format=True)
    return buffer.getvalue()


def spooled(spool: Spool, data: bytes) -> SpoolFile:
    file = spool.new()
    file.write(data)
    return file


def begun(spool: Spool, **attributes: Any) -> SpoolFile:
    """A file as an association leaves it before the end: all bytes, no seal."""
    data = part10(**attributes)
    sop = attributes.get("SOPInstanceUID", SOP)
    file = spool.begin(file_head(CTImageStorage, sop, ExplicitVRLittleEndian, "SCANNER", "ISOCENTER"))
    file.write(data[read_meta(data).dataset_offset :])
    return file


def sealed(spool: Spool, **attributes: Any) -> SpoolFile:
    """A file as an association leaves it."""
    file = begun(spool, **attributes)
    file.seal()
    return file


def rejection_note(*sops: str, code: str = "113001", **attributes: Any) -> bytes:
    """A Key Object Selection document in the study and series of `ct` that refers to instances there."""

    def item(**values: Any) -> Dataset:
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    images = [item(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=sop) for sop in sops]
    series = item(SeriesInstanceUID=SERIES, ReferencedSOPSequence=images)
    return part10(
        SOPClassUID=KeyObjectSelectionDocumentStorage,
        Modality="KO",
        ConceptNameCodeSequence=[
            item(CodeValue=code, CodingSchemeDesignator="DCM", CodeMeaning="Rejected for a reason")
        ],
        CurrentRequestedProcedureEvidenceSequence=[
            item(StudyInstanceUID=STUDY, ReferencedSeriesSequence=[series])
        ],
        **{"SOPInstanceUID": NOTE, "SeriesInstanceUID": f"{SERIES}.9"} | attributes,
    )


NOTE = "1.2.826.0.1.3680043.8.498.7777"
