"""Series as volumes: order, frame of reference, and a stated reason for everything that is no volume."""

import numpy as np
import pytest

from inference.suitability import Unsuitable
from inference.volume import read_volume
from models.schema.images import AppliesTo, Checks
from tests.inference.stored_series import archive_in, ct_slice, series, stored

CT = AppliesTo(scope="series", modality=("CT",))
CT_OR_MR = AppliesTo(scope="series", modality=("CT", "MR"))


def checks(**changes):
    return Checks(**{"geometry": "regular-volume", "orientation": "axial"} | changes)


@pytest.fixture
def archive(tmp_path):
    with archive_in(tmp_path) as archive:
        yield archive


@pytest.fixture
def read(archive, tmp_path):
    """Read slices as a volume, through the archive."""

    def read(slices, applies_to=CT, **changes):
        return read_volume(
            archive, stored(archive, tmp_path, series(slices)), [applies_to], checks(**changes)
        )

    return read


@pytest.fixture
def refusal(read):
    def refusal(slices, applies_to=CT, **changes):
        with pytest.raises(Unsuitable) as caught:
            read(slices, applies_to, **changes)
        return str(caught.value)

    return refusal


@pytest.fixture
def folder(tmp_path, test_data):
    """Read a folder of the test data as a volume, through an archive of its own."""

    def folder(name, **changes):
        path, home = test_data / name, tmp_path / name.replace("/", "-")
        home.mkdir()
        files = [path] if path.is_file() else sorted(path.iterdir())
        with archive_in(home) as archive:
            instances = stored(archive, home, [file.read_bytes() for file in files])
            return read_volume(archive, instances, [CT_OR_MR], checks(**{"orientation": "any"} | changes))

    return folder


def test_slices_are_ordered_by_position_not_by_number(read):
    slices = [ct_slice(number, ImagePositionPatient=[0, 0, -2.5 * number]) for number in (1, 2, 3)]
    volume = read(slices)
    assert volume.array.dtype == np.int16
    assert volume.array[:, 0, 0].tolist() == [30, 20, 10]
    assert [frame.instance.key.sop for frame in volume.frames] == ["2.25.400.3", "2.25.400.2", "2.25.400.1"]
    assert volume.spacing == (2.5, 0.8, 0.5)


def test_affine_leads_from_indices_to_the_patient(read):
    volume = read([ct_slice(number, ImagePositionPatient=[-10, -20, 2.5 * number]) for number in (4, 5, 6)])
    assert volume.patient(0, 0, 0) == pytest.approx((-10, -20, 10))
    assert volume.patient(2, 5, 3) == pytest.approx((-10 + 3 * 0.5, -20 + 5 * 0.8, 15))


PICTURE = np.arange(24).reshape(6, 4)
CANONICAL_X, CANONICAL_Y = np.meshgrid(np.arange(4), np.arange(6))


@pytest.mark.parametrize(
    ("cosines", "stored_picture", "position"),
    [
        ([1, 0, 0, 0, 1, 0], PICTURE, (0, 0)),
        ([-1, 0, 0, 0, 1, 0], PICTURE[:, ::-1], (3, 0)),
        ([1, 0, 0, 0, -1, 0], PICTURE[::-1], (0, 5)),
        ([-1, 0, 0, 0, -1, 0], PICTURE[::-1, ::-1], (3, 5)),
        ([0, 1, 0, 1, 0, 0], PICTURE.T, (0, 0)),
        ([0, -1, 0, 1, 0, 0], PICTURE[::-1].T, (0, 5)),
        ([0, 1, 0, -1, 0, 0], PICTURE[:, ::-1].T, (3, 0)),
    ],
    ids=["supine", "mirrored", "upside down", "prone", "transposed", "turned left", "turned right"],
)
def test_every_axial_orientation_comes_into_the_canonical_frame(read, cosines, stored_picture, position):
    """The same body, stored in different ways, is the same array at the same place."""
    slices = [
        ct_slice(
            number,
            stored_picture,
            ImageOrientationPatient=cosines,
            PixelSpacing=[1, 1],
            ImagePositionPatient=[*position, 2.5 * number],
        )
        for number in (1, 2)
    ]
    volume = read(slices)
    assert volume.array[0].tolist() == PICTURE.tolist()
    assert volume.patient(0, 0, 0) == pytest.approx((0, 0, 2.5))
    assert volume.patient(1, 4, 2) == pytest.approx((2, 4, 5))
    assert volume.in_plane.undo(volume.array)[0].tolist() == np.asarray(stored_picture).tolist()
    row, column = volume.in_plane.to_stored(4, 2)
    assert stored_picture[int(row), int(column)] == PICTURE[4, 2]


def test_pixel_spacing_follows_a_transposed_frame(read):
    slices = [
        ct_slice(n, ImageOrientationPatient=[0, 1, 0, 1, 0, 0], ImagePositionPatient=[0, 0, n])
        for n in (1, 2)
    ]
    volume = read(slices)
    assert volume.array.shape == (2, 4, 6)
    assert volume.spacing == (1.0, 0.5, 0.8)
    assert volume.patient(0, 1, 0) == pytest.approx((0, 0.5, 1))


def test_coronal_slices_run_from_front_to_back_and_head_to_feet(read):
    cosines = [1, 0, 0, 0, 0, -1]
    slices = [ct_slice(n, ImageOrientationPatient=cosines, ImagePositionPatient=[0, -n, 50]) for n in (1, 2)]
    volume = read(slices, orientation="coronal")
    assert volume.array[:, 0, 0].tolist() == [20, 10]
    assert volume.patient(1, 1, 1) == pytest.approx((0.5, -1, 49.2))


def test_fractional_values_become_floats(read):
    volume = read([ct_slice(number, RescaleSlope=0.5) for number in (1, 2)])
    assert volume.array.dtype == np.float32
    assert volume.array[0, 0, 0] == (10 + 1024) * 0.5 - 1024


def test_values_beyond_16_bits_become_floats_on_the_way(read):
    volume = read([ct_slice(1), ct_slice(2, RescaleIntercept=70000)])
    assert volume.array[:, 0, 0].tolist() == [10.0, 1044.0 + 70000]


def test_localizer_in_the_series_is_left_out(read):
    localizer = ct_slice(9, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImagePositionPatient=[7, 7, 7])
    assert len(read([ct_slice(1), ct_slice(2), localizer]).frames) == 2


def test_nothing_but_localizers(refusal):
    slices = [ct_slice(1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])]
    assert "LOCALIZER images are left out" in refusal(slices)


def test_other_modality(refusal):
    assert refusal([ct_slice(1, Modality="MR"), ct_slice(2)]) == "Modality is MR, not CT"


def test_missing_slices_are_counted(refusal):
    told = refusal([ct_slice(number) for number in (1, 2, 3, 4, 7, 8, 10)])
    assert told == "missing slices: 3 of 10; the largest gap is 7.50 mm, the usual distance 2.50 mm"


def test_uneven_spacing(refusal):
    heights = (0, 2.5, 5, 8.6, 11.1)
    slices = [ct_slice(n, ImagePositionPatient=[0, 0, z]) for n, z in enumerate(heights)]
    assert refusal(slices) == "uneven slice spacing: 2.50 to 3.60 mm"


def test_spacing_within_the_tolerance_is_even(read):
    heights = (0, 2.5, 5.05, 7.5)
    slices = [ct_slice(n, ImagePositionPatient=[0, 0, z]) for n, z in enumerate(heights)]
    assert read(slices).spacing[0] == 2.5


def test_duplicate_positions(refusal):
    slices = [ct_slice(1), ct_slice(2), ct_slice(3, ImagePositionPatient=[0, 0, 5])]
    assert refusal(slices) == "several images at one position: 3 images at 2 positions"


def test_mixed_orientations(refusal):
    slices = [ct_slice(1), ct_slice(2), ct_slice(3, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])]
    assert refusal(slices) == "mixed orientations: images are turned against each other by up to 90°"


def test_wrong_plane(refusal):
    slices = [
        ct_slice(n, ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=[n, 0, 0])
        for n in (1, 2)
    ]
    assert refusal(slices) == "the images are sagittal, turned by 90° from axial"


def test_sheared_stack(refusal):
    slices = [ct_slice(n, ImagePositionPatient=[0, n * 0.5, n * 2.5]) for n in (1, 2, 3)]
    assert refusal(slices) == "gantry tilt: the slices are sheared by 11.3°"


def test_wandering_slices(refusal):
    places = ([0, 0, 0], [6, 0, 2.5], [0, 0, 5])
    slices = [ct_slice(n, ImagePositionPatient=place) for n, place in enumerate(places)]
    assert refusal(slices) == "slices are shifted sideways by up to 6.0 mm"


def test_different_sizes(refusal):
    assert (
        refusal([ct_slice(1), ct_slice(2, np.zeros((8, 8)))]) == "images of different sizes: 6 x 4 and 8 x 8"
    )


def test_different_pixel_spacing(refusal):
    slices = [ct_slice(1), ct_slice(2, PixelSpacing=[0.8, 0.6])]
    assert refusal(slices) == "images of different pixel spacing: 0.5 to 0.8 mm"


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_missing_geometry_names_image_and_attribute(refusal, keyword):
    assert refusal([ct_slice(1), ct_slice(2, **{keyword: None})]) == f"image 2 has no {keyword}"


def test_impossible_orientation(refusal):
    told = refusal([ct_slice(1, ImageOrientationPatient=[1, 0, 0, 1, 0, 0])])
    assert "no pair of perpendicular unit vectors" in told


@pytest.mark.parametrize(
    ("demand", "reason"),
    [
        ({"min_slices": 5}, "3 slices, the model needs at least 5"),
        ({"max_slices": 2}, "3 slices, the model takes at most 2"),
        ({"max_voxels": 71}, "72 voxels, the model takes at most 71"),
        ({"max_slice_spacing_mm": 2}, "slices are 2.50 mm apart, at most 2 mm allowed"),
        ({"min_slice_spacing_mm": 3}, "slices are 2.50 mm apart, at least 3 mm needed"),
        ({"max_pixel_spacing_mm": 0.7}, "pixels are 0.80 mm apart, at most 0.7 mm allowed"),
        ({"min_extent_mm": 100}, "the slices cover 8 mm, at least 100 mm needed"),
    ],
)
def test_demands_of_the_card(refusal, demand, reason):
    assert refusal([ct_slice(number) for number in (1, 2, 3)], **demand) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"RescaleType": "US"}, "RescaleType is US, not HU"),
        ({"RescaleIntercept": None}, "no RescaleIntercept: their values are not known to be HU"),
    ],
)
def test_values_that_are_not_hounsfield_units(refusal, changes, reason):
    assert reason in refusal([ct_slice(1), ct_slice(2, **changes)], units="HU")


def test_hounsfield_units_by_default_or_by_name(read):
    assert len(read([ct_slice(1), ct_slice(2, RescaleType="HU")], units="HU").frames) == 2


def test_all_that_is_wrong_is_told(refusal):
    slices = [ct_slice(n, ImagePositionPatient=[0, n * 2.5, n * 2.5]) for n in (1, 2, 4)]
    told = refusal(slices, max_slice_spacing_mm=1)
    assert [part.split(":")[0].split(" are ")[0] for part in told.split("; ")] == [
        "gantry tilt",
        "uneven slice spacing",
        "slices",
    ]


def test_single_slice_takes_its_thickness_as_spacing(read):
    assert read([ct_slice(1)]).spacing == (2.5, 0.8, 0.5)


def test_single_slice_without_thickness(refusal):
    assert refusal([ct_slice(1, SliceThickness=None)]) == "a single slice without SliceThickness"


def test_broken_pixels_name_the_image(refusal):
    short = ct_slice(2)
    short.BitsAllocated = 12
    assert refusal([ct_slice(1), short]).startswith("image 2 cannot be decoded: BitsAllocated is 12")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bad/geometry/ct-gantry-tilt", "gantry tilt: the slices are sheared by 14.0°"),
        ("bad/geometry/ct-slice-increment-1", "missing slices: 1 of 5; the largest gap is 10.00 mm"),
        ("bad/geometry/mr-too-few-slices", "2 slices, the model needs at least 3"),
        ("dicom/ct-series/ge-head-28", "gantry tilt: the slices are sheared by 18.5°; uneven slice spacing"),
        ("dicom/mr-series/ge-dti-16", "several images at one position: 16 images at 4 positions"),
        ("dicom/mr-series/philips-fmri-8", "several images at one position: 8 images at 2 positions"),
        ("dicom/enhanced/IM-0001-9600-0001.dcm", "several images at one position: 32 images at 8 positions"),
        ("dicom/enhanced/emri_small.dcm", "image 1 has no ImagePositionPatient"),
    ],
)
def test_real_series_that_are_no_volume(folder, name, reason):
    with pytest.raises(Unsuitable) as caught:
        folder(name, min_slices=3)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("name", "shape", "spacing"),
    [
        ("dicom/mr-series/brain-t1post-22", (22, 320, 280), (6.5, 0.6875, 0.6875)),
        ("dicom/mr-series/hippocampus-crop-40", (40, 50, 34), (1, 1, 1)),
        ("dicom/mr-series/mr4-jpeg-lossless", (4, 256, 256), (1, 1, 1)),
        ("dicom/mr-series/mr4-rle", (4, 256, 256), (1, 1, 1)),
        ("dicom/mr-series/siemens-4", (4, 256, 256), (1, 1, 1)),
        ("dicom/enhanced/001.dcm", (8, 138, 112), (5, 1.61, 1.59)),
    ],
)
def test_real_series_that_are_volumes(folder, name, shape, spacing):
    volume = folder(name)
    assert volume.array.shape == shape
    assert volume.spacing == pytest.approx(spacing, abs=1e-4)


def test_equal_series_in_two_encodings_are_equal_volumes(folder):
    lossless, rle = (folder(f"dicom/mr-series/mr4-{name}") for name in ("jpeg-lossless", "rle"))
    assert np.array_equal(lossless.array, rle.array)


def test_oblique_brain_lies_where_its_header_says(folder):
    volume = folder("dicom/mr-series/brain-t1post-22", orientation="axial")
    assert volume.patient(0, 0, 0) == pytest.approx((-97.178, -83.173, -11.422), abs=1e-3)
    assert volume.patient(21, 0, 0)[2] > volume.patient(0, 0, 0)[2]
