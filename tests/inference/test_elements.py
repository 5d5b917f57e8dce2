"""Our writer of data sets gives the bytes that pydicom gives."""

from datetime import UTC, date, datetime, time

import pydicom
import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from inference.results.elements import data_set, elements_of
from tests.inference.analyses import ct_header


def written(ds: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return buffer.getvalue()


def everything() -> Dataset:
    """Elements of many kinds, single, several and empty, of odd and of even length."""
    ds = ct_header(1)
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.StudyDescription, ds.ImageComments, ds.PatientAge = "nüchtern", "ü", "065Y"
    ds.SoftwareVersions = ["one", "two"]
    ds.WindowCenter, ds.WindowWidth = [40, 50.5], "400 "
    ds.RecommendedDisplayCIELabValue = [1, 2, 65535]
    ds.DimensionIndexPointer = 0x00200032
    ds.DimensionIndexValues = [1, 70000]
    ds.PixelSpacing, ds.StudyDate, ds.Laterality = None, "", ""
    ds.SeriesDate, ds.SeriesTime = date(2026, 1, 2), time(3, 4, 5)
    ds.AcquisitionDateTime = datetime(2026, 1, 2, 3, tzinfo=UTC)
    ds.RealWorldValueSlope, ds.GraphicData = -0.1, [1.5, 2.25]
    ds.TextValue, ds.ReferencedSOPInstanceUID = "odd", "1.2.3"
    ds.BitsAllocated, ds.PixelData = 1, b"\1\2"
    inner = Dataset()
    inner.SpecificCharacterSet, inner.NumericValue, inner.CodeMeaning = "ISO_IR 192", "0.30", "Größe"
    ds.MeasuredValueSequence, ds.ReferencedSeriesSequence = [inner, inner], []
    return ds


def test_what_pydicom_writes_is_written():
    assert data_set(elements_of(everything())) == written(everything())


@pytest.mark.filterwarnings("ignore:Invalid value for VR AS")  # an age of one of them is wrong
@pytest.mark.parametrize("folder", ["sr", "enhanced"])
def test_data_sets_of_others_come_out_as_pydicom_writes_them(test_data, folder):
    paths = sorted((test_data / "dicom" / folder).iterdir())
    assert len(paths) > 1
    for path in paths:
        ds = Dataset.from_json(pydicom.dcmread(path).to_json())
        ds.SpecificCharacterSet = "ISO_IR 192"  # results are in no other
        assert data_set(elements_of(ds)) == written(ds), path.name
