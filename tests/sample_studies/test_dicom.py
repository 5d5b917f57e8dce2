"""Sample files are valid DICOM with the geometry of the phantom."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest

from sample_studies import SAMPLES, ChestPhantom, Patient, ensure_sample, sample_truth, write_ct, write_dx
from sample_studies.dicom import uid

PHANTOM = ChestPhantom(slices=12, rows=96, columns=128, spacing=25.0)


def complaints(path):
    tool = shutil.which("dciodvfy")
    assert tool, "dicom3tools is needed: it says whether our files are valid"
    told = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
    return [
        line for line in (told.stdout + told.stderr).splitlines() if line.startswith(("Error", "Warning"))
    ]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_ct(PHANTOM, tmp_path_factory.mktemp("ct"), Patient("Any^One", "1"))


@pytest.fixture(scope="module")
def slices(paths):
    return [pydicom.dcmread(path) for path in paths]


def test_dciodvfy_has_nothing_to_say_about_the_ct(paths):
    assert [complaint for path in paths for complaint in complaints(path)] == []


@pytest.mark.parametrize(
    "options",
    [{"plane": "sagittal"}, {"tilt": 12.5}, {"head_first": True}],
    ids=lambda option: next(iter(option)),
)
def test_dciodvfy_has_nothing_to_say_about_the_awkward_series(tmp_path, options):
    written = write_ct(PHANTOM, tmp_path, **options)
    assert complaints(written[1]) == []


def test_dciodvfy_has_nothing_to_say_about_a_padded_ct(tmp_path):
    padded = ChestPhantom(slices=2, rows=32, columns=32, lungs=False, padding=-2000)
    assert complaints(write_ct(padded, tmp_path)[0]) == []


def test_dciodvfy_has_nothing_to_say_about_the_radiograph(tmp_path):
    (film,) = write_dx(PHANTOM, tmp_path)
    assert complaints(film) == []


def test_pixels_and_geometry_are_the_phantom(slices):
    for index, ds in enumerate(slices):
        assert (ds.pixel_array == PHANTOM.hu[index]).all()
        corner = PHANTOM.grid.x[0], PHANTOM.grid.y[0], PHANTOM.grid.z[index]
        assert ds.ImagePositionPatient == pytest.approx(corner, abs=1e-3)
    assert slices[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert slices[0].PixelSpacing == pytest.approx([2.8, 2.8])
    assert np.diff([float(ds.ImagePositionPatient[2]) for ds in slices]) == pytest.approx([25.0] * 11)


def test_uids_are_distinct_within_a_series_and_the_same_every_time(slices, tmp_path):
    assert len({ds.SOPInstanceUID for ds in slices}) == 12
    assert len({ds.SeriesInstanceUID for ds in slices} | {ds.StudyInstanceUID for ds in slices}) == 2
    again = write_ct(PHANTOM, tmp_path, Patient("Any^One", "1"))
    assert pydicom.dcmread(again[3]).SOPInstanceUID == slices[3].SOPInstanceUID
    other = write_ct(PHANTOM, tmp_path, Patient("Some^Body", "2"))
    assert pydicom.dcmread(other[3]).SOPInstanceUID != slices[3].SOPInstanceUID


def test_uid_is_a_uuid_of_version_eight():
    number = f"{int(uid('any', 'thing').removeprefix('2.25.')):032x}"
    assert number[12] == "8"
    assert number[16] in "89ab"


def test_same_series_written_twice_is_byte_for_byte_the_same(paths, tmp_path):
    again = write_ct(PHANTOM, tmp_path, Patient("Any^One", "1"))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


def test_skipped_slices_leave_a_gap_and_change_nothing_else(paths, tmp_path):
    gappy = write_ct(PHANTOM, tmp_path, Patient("Any^One", "1"), skip=range(4, 7))
    assert [path.name for path in gappy] == [
        path.name for path in paths if path.name[2:6] not in {"0005", "0006", "0007"}
    ]
    assert gappy[-1].read_bytes() == paths[-1].read_bytes()


def test_head_first_numbers_from_the_head(tmp_path):
    files = [pydicom.dcmread(path) for path in write_ct(PHANTOM, tmp_path, head_first=True)]
    heights = [float(ds.ImagePositionPatient[2]) for ds in sorted(files, key=lambda ds: ds.InstanceNumber)]
    assert heights == sorted(heights, reverse=True)


def test_sagittal_slices_show_the_same_voxels(tmp_path):
    ds = pydicom.dcmread(write_ct(PHANTOM, tmp_path, plane="sagittal")[40])
    assert (ds.pixel_array == PHANTOM.hu[::-1, :, 40]).all()
    assert ds.ImageOrientationPatient == [0, 1, 0, 0, 0, -1]


def test_tilt_turns_the_columns_away_from_the_bed(tmp_path):
    ds = pydicom.dcmread(write_ct(PHANTOM, tmp_path, tilt=15.0)[0])
    assert ds.ImageOrientationPatient[4:] == pytest.approx(
        [np.cos(np.radians(15)), np.sin(np.radians(15))], abs=1e-3
    )
    assert ds.GantryDetectorTilt == pytest.approx(15.0, abs=1e-3)


def test_radiograph_is_bright_at_the_heart_and_dark_in_the_lungs(tmp_path):
    film = pydicom.dcmread(write_dx(ChestPhantom(slices=60, rows=128, columns=128, spacing=5.0), tmp_path)[0])
    pixels = film.pixel_array
    heart, right_lung = pixels[68, 64], pixels[50, 38]
    assert heart > right_lung + 500
    assert (film.PresentationIntentType, film.PhotometricInterpretation) == (
        "FOR PRESENTATION",
        "MONOCHROME2",
    )


@pytest.mark.timeout(120)
def test_named_sample_is_made_once_even_when_two_ask(tmp_path):
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: ensure_sample("red-triangle", tmp_path), range(2))
    assert first == second == ensure_sample("red-triangle", tmp_path)
    assert len(first) == 120
    assert [path.name for path in tmp_path.iterdir()] == ["red-triangle-v1"]
    assert str(pydicom.dcmread(first[0]).PatientName) == "Red^Triangle"
    assert len(sample_truth("red-triangle", tmp_path)["nodules"]) == 6


def test_every_sample_has_its_own_patient():
    assert len({sample.patient.identifier for sample in SAMPLES.values()}) == len(SAMPLES)


def test_unknown_sample_is_named_with_those_there_are(tmp_path):
    with pytest.raises(KeyError, match=r"pink-hexagon.*red-triangle"):
        ensure_sample("pink-hexagon", tmp_path)
