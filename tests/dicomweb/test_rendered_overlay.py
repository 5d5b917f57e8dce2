"""A slice with masks and marks drawn over it, from real segmentations and over HTTP."""

import imagecodecs
import numpy as np
import pytest

from dicomweb.overlay import COLOURS, Mark, with_marks, with_masks
from storage.pixels.errors import UndecodablePixels
from storage.pixels.segmentation import Slice, frames_on, segment_masks
from tests.dicomweb.rendered_archive import web_in


@pytest.fixture(scope="module")
def web(test_data, tmp_path_factory):
    with web_in(tmp_path_factory.mktemp("overlay")) as web:
        dicom = test_data / "dicom"
        names = ["seg/liver.dcm", "seg/sparse-labelmap-ppv5.dcm", "seg/seg_image_ct_binary_overlap.dcm"]
        names += [f"seg-set/ct-3slice/0{number}.dcm" for number in (1, 2, 3)]
        names += [f"seg-set/24x38x3/IMG000{number}.dcm" for number in (1, 2, 3)]
        names += ["seg/liver_nonbyte_aligned.dcm", "dicomdir/tree/17106", "sr/sr.dcm"]
        web.store(*(dicom / name for name in names))
        web.named = {str(path.relative_to(dicom)): instance for path, instance in web.stored.items()}
        yield web


def shown(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return imagecodecs.png_decode(answer.content)


def coloured(picture):
    """Where red, green and blue differ."""
    return np.ptp(picture.astype(int), axis=2) > 0


def grey(web, image):
    return shown(web.overlay(web.named[image]))


def test_the_mask_of_the_slice_is_drawn_and_nothing_else_changes(web):
    for number in (1, 2, 3):
        image = f"seg-set/ct-3slice/0{number}.dcm"
        plain = grey(web, image)
        drawn = shown(web.overlay(web.named[image], seg=web.named["seg/liver.dcm"].key.sop))
        changed = (drawn != plain).any(axis=2)
        assert not coloured(plain).any()
        assert 0.05 < changed.mean() < 0.4
        assert (coloured(drawn) <= changed).all()
        assert (drawn[changed] == COLOURS[0]).all(axis=1).any(), "the outline has the pure colour"


def test_a_slice_without_a_mask_stays_as_it_is(web):
    image = "seg-set/24x38x3/IMG0002.dcm"
    drawn = shown(web.overlay(web.named[image], seg=web.named["seg/sparse-labelmap-ppv5.dcm"].key.sop))
    assert (drawn == grey(web, image)).all()


def test_the_mask_alone_is_where_the_drawn_one_is(web):
    image, seg = web.named["seg-set/ct-3slice/01.dcm"], web.named["seg/liver.dcm"].key.sop
    changed = (shown(web.overlay(image, seg=seg)) != grey(web, "seg-set/ct-3slice/01.dcm")).any(axis=2)
    path = f"/overlay/studies/{image.key.study}/series/{image.key.series}/instances/{image.key.sop}/mask"
    alone = shown(web.client.get(path, params={"seg": seg, "segment": 1}))
    assert ((alone[..., 3] > 0) == changed).mean() > 0.999
    assert (alone[alone[..., 3] > 0] == 255).all()
    assert web.client.get(path, params={"seg": seg, "segment": 2}).status_code == 204


@pytest.mark.parametrize(
    ("images", "segmentation"),
    [
        ("seg-set/ct-3slice/0{}.dcm", "seg/liver.dcm"),
        ("seg-set/24x38x3/IMG000{}.dcm", "seg/sparse-labelmap-ppv5.dcm"),
    ],
)
def test_the_masks_of_a_series_are_those_of_its_slices(web, images, segmentation):
    seg = web.named[segmentation].key
    stored = [web.named[images.format(number)] for number in (1, 2, 3)]
    series = f"/overlay/studies/{seg.study}/series/{stored[0].key.series}"
    told = web.client.get(f"{series}/masks", params={"seg": seg.sop}).json()
    assert told
    for each in told:
        alone = web.client.get(
            f"{series}/instances/{each['sop_uid']}/mask", params={"seg": seg.sop, "segment": each["segment"]}
        )
        inside = np.zeros(shown(alone).shape[0] * shown(alone).shape[1], bool)
        for start, end in np.cumsum(each["runs"]).reshape(-1, 2):
            inside[start:end] = True
        assert (inside == (shown(alone)[..., 3] > 0).ravel()).all()
    on_slices = {each["sop_uid"] for each in told}
    assert {each.key.sop for each in stored} >= on_slices
    for other in {each.key.sop for each in stored} - on_slices:
        alone = web.client.get(f"{series}/instances/{other}/mask", params={"seg": seg.sop, "segment": 1})
        assert alone.status_code == 204


def test_masks_of_another_size_are_refused_for_the_whole_series(web):
    image = web.named["seg-set/ct-3slice/02.dcm"].key
    seg = web.named["seg/liver_nonbyte_aligned.dcm"].key.sop
    answer = web.client.get(
        f"/overlay/studies/{image.study}/series/{image.series}/masks", params={"seg": seg}
    )
    assert answer.status_code == 406
    assert "(510, 510)" in answer.json()["detail"]


def test_a_labelmap_gives_each_segment_its_colour(web):
    image = web.named["seg-set/24x38x3/IMG0001.dcm"]
    drawn = shown(web.overlay(image, seg=web.named["seg/sparse-labelmap-ppv5.dcm"].key.sop))
    assert coloured(drawn).any()


def test_overlapping_segments_are_both_there(web):
    image = web.named["dicomdir/tree/17106"]
    drawn = shown(web.overlay(image, seg=web.named["seg/seg_image_ct_binary_overlap.dcm"].key.sop)).reshape(
        -1, 3
    )
    for colour in COLOURS[:2]:
        assert (drawn == colour).all(axis=1).any()


def test_marks_are_drawn_where_they_are(web):
    image = "seg-set/ct-3slice/02.dcm"
    drawn = shown(web.overlay(web.named[image], mark=["250,200,30,Nodule, 8 mm", "100,300,12"]))
    changed = coloured(drawn)
    for x, y, radius in ((250, 200, 30), (100, 300, 12)):
        assert changed[y, x - radius - 1 : x - radius + 2].any()
        assert changed[y + radius - 1 : y + radius + 2, x].any()
        assert not changed[y - radius + 4 : y + radius - 4, x - 2 : x + 3].any()
    assert not changed[400:].any()


def test_window_and_viewport_are_those_of_rendered(web):
    image = web.named["seg-set/ct-3slice/02.dcm"]
    drawn = shown(web.overlay(image, window="0,1,linear", viewport="128,100"))
    assert drawn.shape == (100, 100, 3)


def test_a_mask_of_another_size_is_refused_with_the_reason(web):
    image = web.named["seg-set/ct-3slice/02.dcm"]
    answer = web.overlay(image, seg=web.named["seg/liver_nonbyte_aligned.dcm"].key.sop)
    assert answer.status_code == 406
    assert "(510, 510)" in answer.json()["detail"]


@pytest.mark.parametrize(
    "seg", ["sr/sr.dcm", "seg/seg_image_ct_binary_overlap.dcm", "seg-set/ct-3slice/01.dcm"]
)
def test_what_is_no_segmentation_of_the_study_is_not_found(web, seg):
    answer = web.overlay(web.named["seg-set/ct-3slice/02.dcm"], seg=web.named[seg].key.sop)
    assert answer.status_code == 404
    assert "not a segmentation of study" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"mark": "1,2"}, 400),
        ({"mark": "1,2,x"}, 400),
        ({"mark": "1,2,0"}, 400),
        ({"mark": "nan,2,3"}, 400),
        ({"mark": "1,2,1e9"}, 400),
        ({"window": "1"}, 400),
        ({"viewport": "1"}, 400),
        ({"frame": "0"}, 400),
        ({"frame": "2"}, 404),
        ({"seg": "1.2.3"}, 404),
        ({"seg": "../x"}, 404),
    ],
)
def test_malformed_and_missing_things_are_named(web, parameters, status):
    answer = web.overlay(web.named["seg-set/ct-3slice/02.dcm"], **parameters)
    assert answer.status_code == status, answer.text


def test_an_object_without_pixels_is_refused_with_the_reason(web):
    answer = web.overlay(web.named["sr/sr.dcm"])
    assert answer.status_code == 406
    assert "no pixel data" in answer.json()["detail"]


def item(tag, *attributes):
    return {tag: {"vr": "SQ", "Value": list(attributes)}}


def values(tag, *given):
    return {tag: {"vr": "DS", "Value": list(given)}}


PLANE = values("00200037", 1, 0, 0, 0, 1, 0) | values("00200052", "1.2.3")


def segmentation(*positions):
    frames = [item("00209113", values("00200032", 0, 0, z)) for z in positions]
    return item("52009230", *frames) | item("52009229", item("00209116", PLANE)) | values("00200052", "1.2.3")


def test_frames_that_name_no_source_belong_to_their_plane():
    for z, expected in ((10.0, [2]), (10.04, [2]), (11, []), (12.5, [3, 4])):
        image = PLANE | values("00200032", 5, 6, z)
        assert list(frames_on(Slice("1.2", image), segmentation(7.5, 10, 12.5, 12.5), 4)) == expected


def test_planes_of_another_frame_of_reference_do_not_meet():
    image = PLANE | values("00200032", 5, 6, 10) | values("00200052", "9.9")
    assert list(frames_on(Slice("1.2", image), segmentation(10), 1)) == []


def test_tilted_planes_do_not_meet():
    image = PLANE | values("00200032", 5, 6, 10) | values("00200037", 1, 0, 0, 0, 0.98, 0.2)
    assert list(frames_on(Slice("1.2", image), segmentation(10), 1)) == []


def test_half_of_the_maximum_of_a_fractional_mask_counts():
    header = values("00620001", "FRACTIONAL") | values("0062000E", 200)
    masks = segment_masks(np.array([[99, 100, 200]], "u1"), header, 1)
    assert masks[1].tolist() == [[False, True, True]]


def test_a_mask_must_fit_its_picture():
    with pytest.raises(UndecodablePixels, match="mask"):
        with_masks(np.zeros((4, 4, 3), "u1"), {1: np.ones((4, 5), bool)})


def test_marks_beyond_the_picture_are_cut_off():
    drawn = with_marks(np.zeros((40, 40, 3), "u1"), [Mark(-5, 20, 10, "far"), Mark(1e6, 1e6, 3)])
    assert drawn.any()
    assert drawn.shape == (40, 40, 3)
