"""Every frame of the test material is decoded and shown as DCMTK shows it, or refused with its reason."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from storage.errors import InvalidInstance
from storage.pixels import colour, grayscale
from storage.pixels.decode import decode_frame, read_attributes
from storage.pixels.errors import UndecodablePixels
from storage.pixels.grayscale import Window
from tests.storage.pixel_files import Files, dcmtk_picture
from tests.support.programs import needs

FOLDERS = (
    "charset",
    "cr",
    "ct",
    "cxr",
    "dicomdir",
    "enhanced",
    "mg",
    "misc",
    "mr",
    "nm",
    "pm",
    "pt",
    "rf",
    "rt",
)
MORE_FOLDERS = ("rt-set", "sc", "seg", "seg-set", "ts-matrix", "us", "wsi", "xa")
NO_REFERENCE = {
    "RG1_J2KI.dcm", "RG3_J2KI.dcm", "CT1_J2KR", "MR2_J2KI.dcm", "MR_small_jp2klossless.dcm", "JPEG2000.dcm",
    "emri_small_jpeg_2k_lossless.dcm", "HTJ2KLossless_08_RGB.dcm",
    "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
    "CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm",
    "parametric_map_float.dcm", "JLSL_08_07_0_1F.dcm", "SC_rgb_jpeg.dcm", "liver_rle.dcm",
}  # fmt: skip
"""What DCMTK 3.6.7 cannot show: JPEG 2000, float pixels, 7-bit JPEG-LS, a JPEG of ids 0 1 2, 1-bit RLE."""
WITHOUT_STUDY = {"HTJ2KLossless_08_RGB.dcm", "JLSL_08_07_0_1F.dcm", "JPEGLSNearLossless_08.dcm"}
NOT_IMAGES = {"chrSQEncoding.dcm"}


def shown(files: Files, path: Path, *, padding: bool = True) -> tuple[np.ndarray, dict]:
    instance = files.add(path)
    header = dict(read_attributes(files, instance))
    if not padding:
        header.pop("00280120", None)
    frame = decode_frame(files, instance, 1, header)
    if frame.photometric == "RGB":
        return colour.to_8bit(frame.samples, frame.description.bits_stored), header
    if frame.photometric == "PALETTE COLOR":
        return colour.from_palette(frame.samples, header, signed=frame.description.signed), header
    return grayscale.display(frame.samples, header), header


def with_study(path: Path, folder: Path) -> Path:
    """The file, or a copy with the Study and Series Instance UIDs that some test images lack."""
    if path.name not in WITHOUT_STUDY:
        return path
    ds = pydicom.dcmread(path)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.1", "2.25.2"
    ds.save_as(folder / path.name)
    return folder / path.name


def options_for(picture: np.ndarray, header: dict) -> list[str]:
    """DCMTK's option for what we do; unasked it neither sees functional groups nor guesses colour."""
    if picture.ndim == 3:
        return ["+cg"]
    chosen = grayscale.voi(header)
    if isinstance(chosen, Window):
        return ["+Ww", str(chosen.center), str(chosen.width)]
    return ["+Wm"]


@needs("dcmj2pnm")
@pytest.mark.parametrize("folder", [*FOLDERS, *MORE_FOLDERS])
def test_pictures_equal_those_of_dcmtk(test_data, tmp_path, folder):
    compared, without, refused = 0, set(), []
    for path in sorted(each for each in (test_data / "dicom" / folder).rglob("*") if each.is_file()):
        try:
            # DCMTK's smallest and largest value count padding in.
            picture, header = shown(Files(), with_study(path, tmp_path), padding=False)
        except InvalidInstance as error:
            refused.append((path.name, str(error)))
            continue
        reference = dcmtk_picture(path, *options_for(picture, header))
        if reference is None:
            without.add(path.name)
            continue
        if path.name == "IM-0001-9600-0001.dcm":
            continue  # slope and intercept in functional groups; DCMTK takes 1 and 0
        if picture.ndim == 2 and reference.ndim == 3:
            reference = reference[..., 0]
        difference = np.abs(picture.astype(int) - reference)
        assert difference.max() <= 1, path
        compared += 1
    assert compared or folder in {"cr", "pm"}
    assert without <= NO_REFERENCE
    assert all(
        "DICOMDIR" in name or "no pixel data" in reason or name in NOT_IMAGES for name, reason in refused
    ), refused


def test_one_slice_in_many_transfer_syntaxes_is_one_picture(test_data):
    lossy = ("JPEGProcess1Transfer", "JPEG2000Transfer")
    pictures = {path.name: shown(Files(), path)[0] for path in (test_data / "dicom/ts-matrix").iterdir()}
    exact = [each for name, each in pictures.items() if not any(part in name for part in lossy)]
    assert len(exact) == 7
    assert all((each == exact[0]).all() for each in exact)
    for name, each in pictures.items():
        assert np.abs(each.astype(int) - exact[0]).mean() < 6, name


def test_one_bit_rle_segmentation_equals_its_native_twin(test_data):
    files = Files()
    for number in (1, 2, 3):
        masks = []
        for name in ("liver.dcm", "liver_rle.dcm"):
            instance = files.add(test_data / "dicom/seg" / name)
            masks.append(decode_frame(files, instance, number).samples)
        assert (masks[0] == masks[1]).all()
        assert masks[0].any()


def test_frames_of_one_bit_that_start_inside_a_byte(test_data):
    files = Files()
    aligned, shifted = (
        files.add(test_data / "dicom/seg" / name) for name in ("liver.dcm", "liver_nonbyte_aligned.dcm")
    )
    for number in (1, 2, 3):
        whole = decode_frame(files, aligned, number).samples
        part = decode_frame(files, shifted, number).samples
        assert part.shape == (510, 510)
        assert abs(int(part.sum()) - int(whole.sum())) <= 0.01 * whole.sum() + 50


def test_every_frame_of_a_multi_frame_is_its_own(test_data):
    files = Files()
    native, packed = (
        files.add(test_data / "dicom/enhanced" / name) for name in ("emri_small.dcm", "emri_small_RLE.dcm")
    )
    frames = [decode_frame(files, native, number).samples for number in range(1, 11)]
    assert len({each.tobytes() for each in frames}) == 10
    for number, frame in enumerate(frames, 1):
        assert (decode_frame(files, packed, number).samples == frame).all()


def test_hostile_files_end_in_a_picture_or_a_reason(test_data):
    reasons, decoded = [], 0
    for path in sorted(each for each in (test_data / "bad").rglob("*") if each.is_file()):
        try:
            files = Files()
            instance = files.add(path)
            for number in range(1, min(instance.number_of_frames, 3) + 1):
                decode_frame(files, instance, number)
                decoded += 1
        except InvalidInstance as error:
            reasons.append(str(error))
    assert decoded
    assert reasons
    assert all(reasons)


def test_an_object_without_pixels_is_refused_with_the_reason(test_data):
    files = Files()
    instance = files.add(test_data / "dicom/sr/sr.dcm")
    with pytest.raises(UndecodablePixels, match="no pixel data"):
        decode_frame(files, instance, 1)
