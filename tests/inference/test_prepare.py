"""What a model is given: the card's checks on headers, values, size and layout."""

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation

from inference.inputs import InputImages
from inference.prepare import prepare
from inference.suitability import Unsuitable, reason_against
from models.card import Card
from models.schema.images import AppliesTo
from tests.inference.stored_series import archive_in, ct_slice, series, stored

BRIGHT = {"value": "bright", "scheme": "99TEST", "meaning": "Bright"}
SCORES = {
    "kind": "scores",
    "name": "scores",
    "activation": "none",
    "labels": [{"label": "Bright", "code": BRIGHT}],
}
PICTURE = {"kind": "image", "name": "picture", "layout": "NCHW", "values": "voi8", "dtype": "uint8"}
VOLUME = {"kind": "image", "name": "hu", "layout": "NCDHW", "values": "modality", "dtype": "int16"}


def card_of(*inputs, scope="instance", modality=("CT", "DX", "CR", "US", "MR"), **changes):
    return Card(
        schema=1,
        name="test",
        version="1",
        title="Test",
        task="classification",
        intended_use="Tests",
        not_for=["anything else"],
        licence="Apache-2.0",
        origin="here",
        model={"sha256": "0" * 64},
        applies_to={"scope": scope, "modality": modality} | changes.pop("applies_to", {}),
        inputs=inputs or (PICTURE,),
        outputs=(SCORES,),
        **changes,
    )


@pytest.fixture
def archive(tmp_path):
    with archive_in(tmp_path) as archive:
        yield archive


@pytest.fixture
def prepared(archive, tmp_path):
    """Store files and prepare them for a card."""

    def prepared(card, files):
        return list(prepare(card, archive, [InputImages(tuple(stored(archive, tmp_path, files)))]))

    return prepared


def film(pixels, **changes) -> Dataset:
    """A radiograph whose stored values are `pixels`."""
    plain = {"RescaleSlope": None, "RescaleIntercept": None, "PixelRepresentation": 0, "Modality": "DX"}
    ds = ct_slice(1, pixels, SOPClassUID=DigitalXRayImageStorageForPresentation, **(plain | changes))
    stored_as = np.uint8 if ds.BitsAllocated == 8 else np.dtype("<u2")
    ds.PixelData = np.asarray(pixels).astype(stored_as).tobytes()
    return ds


EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
STEPS = [[10, 20], [30, 250]]


def shown(prepared, ds, **image):
    (run,) = prepared(card_of(PICTURE | image), series([ds]))
    return run.inputs["picture"][0, 0].tolist()


def test_eight_bits_without_window_are_taken_as_they_are(prepared):
    assert shown(prepared, film(STEPS, **EIGHT)) == STEPS


def test_monochrome1_is_inverted(prepared):
    ds = film(STEPS, PhotometricInterpretation="MONOCHROME1", **EIGHT)
    assert shown(prepared, ds) == [[245, 235], [225, 5]]


def test_deeper_pixels_are_spread_from_smallest_to_largest(prepared):
    assert shown(prepared, film([[1000, 2000], [1500, 3550]])) == [[0, 100], [50, 255]]


def test_window_of_the_file_clips(prepared):
    ds = film([[0, 1000], [1500, 9000]], WindowCenter=1500.5, WindowWidth=1001)
    assert shown(prepared, ds) == [[0, 0], [128, 255]]


def test_exact_window_clips_half_its_width_around_its_centre(prepared):
    ds = film([[0, 1000], [1500, 9000]], WindowCenter=1500, WindowWidth=1000)
    ds.VOILUTFunction = "LINEAR_EXACT"
    assert shown(prepared, ds) == [[0, 0], [128, 255]]


def test_window_of_the_card_comes_before_that_of_the_file(prepared):
    ds = ct_slice(1, [[-2000, 40], [-59, 3000]], WindowCenter=9, WindowWidth=9)
    values = shown(prepared, ds, window={"center": 40, "width": 400})
    assert values[0][0] == 0
    assert values[1][1] == 255
    assert values[0][1] == pytest.approx(127, abs=1)


def test_voi_table_is_applied(prepared):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 8], [0, 0, 0, 200]
    ds = film([[0, 1], [2, 3]], VOILUTSequence=[table])
    ds.VOILUTSequence[0]["LUTDescriptor"].VR = "US"
    ds.VOILUTSequence[0]["LUTData"].VR = "US"
    assert shown(prepared, ds) == [[0, 0], [0, 255]]


def test_padding_does_not_stretch_the_picture(prepared):
    ds = film([[0, 1000], [1500, 2000]], PixelPaddingValue=0)
    ds["PixelPaddingValue"].VR = "US"
    assert shown(prepared, ds) == [[0, 0], [128, 255]]


def test_colour_becomes_grey_for_a_grey_model(prepared, test_data):
    path = test_data / "dicom/us/examples_rgb_color.dcm"
    (run,) = prepared(card_of(), [path.read_bytes()])
    expected = Image.fromarray(dcmread(path).pixel_array).convert("L")
    difference = run.inputs["picture"][0, 0].astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1


def test_colour_is_no_measured_value(prepared, test_data):
    with pytest.raises(Unsuitable, match="in colour, the model takes measured values"):
        prepared(
            card_of(PICTURE | {"values": "modality"}),
            [(test_data / "dicom/us/examples_rgb_color.dcm").read_bytes()],
        )


def test_measured_values_reach_the_model(prepared):
    image = PICTURE | {"values": "modality", "dtype": "float32", "divide_by": 1000}
    (run,) = prepared(card_of(image), series([ct_slice(1, [[-1000, 500]])]))
    assert run.inputs["picture"].ravel().tolist() == [-1.0, 0.5]


def test_stored_values_reach_the_model(prepared):
    image = PICTURE | {"values": "stored", "dtype": "int16"}
    (run,) = prepared(card_of(image), series([ct_slice(1, [[-1000, 500]])]))
    assert run.inputs["picture"].ravel().tolist() == [24, 1524]


def test_film_is_resized_as_pil_does(prepared, test_data):
    path = test_data / "dicom/cxr/test2.dcm"
    image = PICTURE | {"resize": {"rows": 224, "columns": 224}}
    (run,) = prepared(card_of(image), [path.read_bytes()])
    raw = np.frombuffer(path.read_bytes()[-1024 * 1024 :], np.uint8).reshape(1024, 1024)
    expected = Image.fromarray(raw).resize((224, 224), Image.Resampling.BILINEAR)
    difference = run.inputs["picture"][0, 0].astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1


def test_every_frame_is_one_run(prepared, test_data):
    card = card_of(scope="frame", modality=("MR",))
    runs = prepared(card, [(test_data / "dicom/enhanced/emri_small.dcm").read_bytes()])
    assert [run.frames[0].frame for run in runs] == list(range(1, 11))
    assert all(run.inputs["picture"].shape == (1, 1, 64, 64) for run in runs)


def test_multi_frame_image_is_none_for_a_model_of_single_images(prepared, test_data):
    with pytest.raises(Unsuitable, match="the image has 10 frames, the model takes single ones"):
        prepared(card_of(modality=("MR",)), [(test_data / "dicom/enhanced/emri_small.dcm").read_bytes()])


def test_undecodable_image_is_told(prepared):
    with pytest.raises(Unsuitable, match="the image cannot be decoded: BitsAllocated is 12"):
        prepared(card_of(), series([film(STEPS, BitsAllocated=12)]))


def test_volume_with_its_spacing(prepared):
    card = card_of(
        VOLUME | {"multiple_of": (4, 4), "pad_value": -1024},
        {"kind": "spacing", "name": "spacing"},
        scope="series",
        checks={"geometry": "regular-volume", "orientation": "axial"},
    )
    (run,) = prepared(card, series([ct_slice(number) for number in (1, 2, 3)]))
    assert run.inputs["hu"].shape == (1, 1, 3, 8, 4)
    assert run.inputs["hu"][0, 0, :, 0, 0].tolist() == [10, 20, 30]
    assert run.inputs["hu"][0, 0, :, 7, 0].tolist() == [-1024] * 3
    assert run.inputs["spacing"].dtype == np.float32
    assert run.inputs["spacing"].tolist() == pytest.approx([2.5, 0.8, 0.5])
    assert [frame.instance.key.sop for frame in run.frames] == [f"2.25.400.{n}" for n in (1, 2, 3)]


def test_too_few_instances(prepared):
    card = card_of(applies_to={"min_instances": 3})
    with pytest.raises(Unsuitable, match="1 image: the model needs at least 3"):
        prepared(card, series([ct_slice(1)]))


HEADER = {
    "00080060": {"vr": "CS", "Value": ["DX"]},
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.1.1"]},
    "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY"]},
    "00180015": {"vr": "CS", "Value": ["chest "]},
    "00181030": {"vr": "LO", "Value": ["Thorax PA"]},
    "00180060": {"vr": "DS", "Value": [120]},
}


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({}, None),
        ({"modality": ["CR", "DX"]}, None),
        ({"modality": ["CT"]}, "Modality is DX, not CT"),
        ({"sop_class": ["1.2.3"]}, "SOPClassUID is 1.2.840.10008.5.1.4.1.1.1.1, not 1.2.3"),
        ({"body_part": ["CHEST", "THORAX"]}, None),
        ({"body_part": ["HEAD"]}, "BodyPartExamined is CHEST, not HEAD"),
        ({"view_position": ["PA"]}, None),
        ({"image_type_exclude": ["PRIMARY"]}, "ImageType is ORIGINAL\\PRIMARY: PRIMARY images are left out"),
        ({"attributes": [{"keyword": "ProtocolName", "any_of": ["thorax pa"]}]}, None),
        (
            {"attributes": [{"keyword": "ProtocolName", "none_of": ["THORAX PA"]}]},
            "ProtocolName is THORAX PA: THORAX PA images are left out",
        ),
        ({"attributes": [{"keyword": "KVP", "min": 100, "max": 140}]}, None),
        ({"attributes": [{"keyword": "KVP", "max": 100}]}, "KVP is 120, more than 100"),
        ({"attributes": [{"keyword": "KVP", "min": 130}]}, "KVP is 120, less than 130"),
        ({"attributes": [{"keyword": "ProtocolName", "min": 1}]}, "ProtocolName is not a number"),
        ({"attributes": [{"keyword": "PatientAge", "any_of": ["030Y"]}]}, "PatientAge is not stated"),
        ({"attributes": [{"keyword": "PatientAge", "any_of": ["030Y"], "missing": "accept"}]}, None),
    ],
)
def test_images_the_card_is_for(rules, reason):
    applies_to = AppliesTo(**{"scope": "instance", "modality": ["DX"]} | rules)
    assert reason_against(applies_to, HEADER) == reason
