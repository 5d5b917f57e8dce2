"""Raw outputs become findings, segments, reasons for doubt, or a refusal."""

import numpy as np
import pytest

from inference.findings import Code, SourceFrame
from inference.geometry import InPlane
from inference.interpret import answered, interpret
from inference.prepare import Run
from inference.volume import Volume
from models.card import Card
from models.errors import ModelError
from models.preprocess import Placement
from models.schema.inputs import ImageInput
from models.volume_grid import volume_grid
from storage.instances import InstanceKey, StoredInstance

LUNG = {"value": "39607008", "scheme": "SCT", "meaning": "Lung"}
NODULE = {"value": "27925004", "scheme": "SCT", "meaning": "Nodule"}
MASS = {"value": "4147007", "scheme": "SCT", "meaning": "Mass"}
RIGHT = {"value": "24028007", "scheme": "SCT", "meaning": "Right"}
VOLUME_OF = {"value": "118565006", "scheme": "SCT", "meaning": "Volume"}
ML = {"value": "ml", "scheme": "UCUM", "meaning": "ml"}


def code(value):
    return Code(**value)


def card_of(*outputs, guards=(), image=None):
    volume = {"kind": "image", "name": "hu", "dtype": "int16", "layout": "NCDHW", "values": "modality"}
    image = image or volume
    is_volume = image["layout"] == "NCDHW"
    return Card(
        schema=1,
        name="test",
        version="1",
        title="Test",
        task="measurement",
        intended_use="Tests",
        not_for=["anything else"],
        licence="Apache-2.0",
        origin="here",
        model={"sha256": "0" * 64},
        applies_to={"scope": "series" if is_volume else "frame", "modality": ["CT"]},
        checks={"geometry": "regular-volume" if is_volume else "none"},
        inputs=[image],
        outputs=outputs,
        guards=guards,
    )


PICTURE = {"kind": "image", "name": "picture", "layout": "NCHW", "values": "voi8"}


def frame(number, place=1):
    key = InstanceKey("2.25.1", "2.25.2", f"2.25.3.{number}")
    return SourceFrame(StoredInstance(key, "1.2", "1.2", 1, "", "", number_of_frames=1), place)


def volume_run(slices=2, rows=4, columns=3, in_plane=None, multiple_of=(1, 1)):
    """A volume whose voxel (z, y, x) lies at x, y, 5 z mm."""
    affine = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]], float)
    frames = tuple(frame(number) for number in range(1, slices + 1))
    array = np.zeros((slices, rows, columns), np.int16)
    volume = Volume(array, (5, 1, 1), affine, frames, in_plane or InPlane(rows, columns))
    spec = ImageInput(kind="image", name="x", layout="NCDHW", values="modality", multiple_of=multiple_of)
    return Run({}, frames, volume_grid(array.shape, volume.spacing, spec, "any"), volume)


def picture_run(number=1, rows=10, columns=20, grid=(5, 5)):
    return Run({}, (frame(number),), Placement(rows, columns, 0, 0, *grid, grid))


def said(card, outputs, run=None):
    return interpret(card, [answered(card, run or volume_run(), outputs)])


def scores_output(decide="top-1", activation="none", threshold=0.5):
    labels = [
        {"label": "No Finding", "finding": False, "threshold": threshold},
        {"label": "Mass", "code": MASS, "threshold": threshold},
        {"label": "Nodule", "code": NODULE, "threshold": threshold},
    ]
    return {"kind": "scores", "name": "s", "activation": activation, "decide": decide, "labels": labels}


def scored(scores, **settings):
    card = card_of(scores_output(**settings), image=PICTURE)
    return said(card, {"s": np.array([scores], np.float32)}, picture_run())


def test_best_class_is_present_with_its_score_and_image():
    result = scored([0.1, 0.7, 0.2])
    (finding,) = result.findings
    assert (finding.key, finding.code, finding.presence) == ("Mass", code(MASS), "present")
    assert finding.score.value == pytest.approx(0.7)
    assert finding.source == frame(1)
    assert result.looked_for == (code(MASS),)


def test_best_class_below_its_threshold_is_no_finding():
    result = scored([0.3, 0.4, 0.3])
    assert result.findings == ()
    assert result.looked_for == (code(MASS), code(NODULE))


def test_normal_picture_is_a_negative_answer():
    result = scored([0.9, 0.05, 0.05])
    assert result.findings == ()
    assert result.looked_for == (code(MASS), code(NODULE))


def test_every_class_above_its_threshold_is_present():
    result = scored([0.9, 0.6, 0.7], decide="threshold")
    assert [finding.key for finding in result.findings] == ["Mass", "Nodule"]
    assert result.looked_for == (code(MASS), code(NODULE))


def test_softmax_of_large_numbers():
    (finding,) = scored([1000, 1001, 999], activation="softmax").findings
    assert finding.score.value == pytest.approx(np.e / (1 + np.e + 1 / np.e))


def test_sigmoid_of_each_class():
    findings = scored([-800, 0, 800], activation="sigmoid", decide="threshold").findings
    assert [finding.score.value for finding in findings] == pytest.approx([0.5, 1.0])


def test_scores_of_several_frames_name_their_frames():
    card = card_of(scores_output(), image=PICTURE)
    outputs = {"s": np.array([[0.1, 0.7, 0.2]], np.float32)}
    result = interpret(card, [answered(card, picture_run(number), outputs) for number in (1, 2)])
    assert [(each.key, each.source) for each in result.findings] == [
        ("Mass", frame(1)),
        ("Mass (2)", frame(2)),
    ]


def test_scores_that_are_no_numbers():
    with pytest.raises(ModelError, match="scores that are no numbers"):
        scored([np.nan, 0.5, 0.5])


def test_scores_of_another_number_of_classes():
    with pytest.raises(ModelError, match="2 scores for 3 labels"):
        scored([0.5, 0.5])


def segment(name="right", values=(1,), **changes):
    return {"name": name, "values": values, "label": name, "type": LUNG, "colour": [1, 2, 3]} | changes


def map_output(*segments, **changes):
    return {"kind": "label-map", "name": "labels", "segments": segments} | changes


LABELS = np.zeros((1, 1, 2, 4, 3), np.uint8)
LABELS[0, 0, 1, 2, 0] = 1
LABELS[0, 0, 0, 3, 2] = 2


def test_label_map_becomes_segments_over_the_stored_frames():
    card = card_of(map_output(segment(laterality=RIGHT), segment("left", (2,)), segment("both", (1, 2))))
    segments = said(card, {"labels": LABELS}).segments
    assert [(each.number, each.label) for each in segments] == [(1, "right"), (2, "left"), (3, "both")]
    assert segments[0].laterality == code(RIGHT)
    assert np.argwhere(segments[0].mask(1)).tolist() == [[2, 0]]
    assert not segments[0].mask(0).any()
    assert [int(segments[2].mask(index).sum()) for index in (0, 1)] == [1, 1]


def test_segment_without_voxels_is_left_out_and_numbers_have_no_gap():
    card = card_of(map_output(segment("none", (7,)), segment("left", (2,))))
    assert [(each.number, each.label) for each in said(card, {"labels": LABELS}).segments] == [(1, "left")]


def test_label_map_is_turned_back_into_the_stored_frame():
    run = volume_run(in_plane=InPlane(3, 4, transposed=True, flip_columns=True))
    (found,) = said(card_of(map_output(segment())), {"labels": LABELS}, run).segments
    assert found.labels.shape == (2, 3, 4)
    row, column = run.volume.in_plane.to_stored(2, 0)
    assert np.argwhere(found.mask(1)).tolist() == [[row, column]]


def test_padding_of_the_label_map_is_cut_off():
    run = volume_run(multiple_of=(4, 4))
    padded = np.pad(LABELS, ((0, 0),) * 4 + ((0, 1),), constant_values=2)
    (found,) = said(card_of(map_output(segment("left", (2,)))), {"labels": padded}, run).segments
    assert int(found.mask(0).sum()) == 1


def test_highest_class_makes_the_label():
    scores = np.zeros((1, 3, 2, 4, 3), np.float32)
    scores[0, 0] = 0.5
    scores[0, 2, 1, 1, 1] = 0.9
    card = card_of(map_output(segment("left", (2,)), encoding="argmax"))
    (found,) = said(card, {"labels": scores}).segments
    assert np.argwhere(found.labels).tolist() == [[1, 1, 1]]


def test_label_maps_of_single_frames_are_one_segmentation():
    card = card_of(map_output(segment()), image=PICTURE)
    labels = np.zeros((1, 1, 5, 5), np.float32)
    labels[..., 0, 0] = 1.0
    result = interpret(card, [answered(card, picture_run(number), {"labels": labels}) for number in (1, 2)])
    assert result.segments[0].labels.shape == (2, 10, 20)
    assert int(result.segments[0].mask(1).sum()) == 2 * 4


def test_label_map_of_another_size():
    with pytest.raises(ModelError, match=r"has shape \[1, 1, 2, 4, 2\], the input \[2, 4, 3\]"):
        said(card_of(map_output(segment())), {"labels": LABELS[..., :2]})


def value(index, output=None, decimals=1):
    return {"index": [index], "concept": VOLUME_OF, "unit": ML, "output": output, "decimals": decimals}


def measured(*values, **changes):
    group = {"key": "right lung", "finding": LUNG, "values": values} | changes
    return {"kind": "measurement", "name": "volume", "groups": [group]}


def test_numbers_are_rounded_coded_and_tied_to_their_segment():
    card = card_of(map_output(segment("left", (9,)), segment()), measured(value(1), segment="right"))
    result = said(card, {"labels": LABELS, "volume": np.array([[7, 1234.5678]], np.float32)})
    (finding,) = result.findings
    assert (finding.code, finding.presence, finding.segment) == (code(LUNG), "not stated", 1)
    (measurement,) = finding.measurements
    assert (measurement.concept, measurement.value, measurement.unit) == (code(VOLUME_OF), 1234.6, code(ML))
    assert type(measurement.value) is float


def test_one_group_takes_numbers_of_several_outputs():
    card = card_of(measured(value(0), value(1, "other")))
    result = said(card, {"volume": np.array([1.0]), "other": np.array([2.0, 3.0])})
    assert [each.value for each in result.findings[0].measurements] == [1.0, 3.0]
    assert card.output_names == {"volume", "other"}


def test_numbers_about_an_empty_segment_are_left_out():
    card = card_of(map_output(segment("right", (9,))), measured(value(0), segment="right"))
    assert said(card, {"labels": LABELS, "volume": np.zeros(1)}).findings == ()


def test_numbers_that_are_none_are_left_out():
    card = card_of(measured(value(0), value(1)))
    (finding,) = said(card, {"volume": np.array([np.nan, 5.0])}).findings
    assert [each.value for each in finding.measurements] == [5.0]
    assert said(card, {"volume": np.array([np.nan, np.inf])}).findings == ()


def test_element_that_is_not_there():
    with pytest.raises(ModelError, match=r"'volume' has shape \[2\]: there is no element \[2\]"):
        said(card_of(measured(value(2))), {"volume": np.zeros(2)})


POINTS = {
    "kind": "points",
    "name": "points",
    "columns": ["z", "y", "x", "diameter", "score"],
    "code": NODULE,
    "threshold": 0.5,
}


def pointed(*rows, run=None, **changes):
    return said(card_of(POINTS | changes), {"points": np.array([rows], np.float32)}, run)


def test_candidate_lies_on_its_frame_and_in_the_patient():
    result = pointed([0.8, 2, 1, 6.04, 0.9])
    (finding,) = result.findings
    assert (finding.key, finding.score) == ("Nodule 1", None)
    assert (finding.geometry.source, finding.geometry.column, finding.geometry.row) == (frame(2), 1.5, 2.5)
    assert finding.geometry.patient == pytest.approx((1, 2, 4))
    assert [(each.concept.meaning, each.value) for each in finding.measurements] == [("Diameter", 6.0)]
    assert result.looked_for == (code(NODULE),)


def test_candidate_on_a_turned_frame():
    run = volume_run(in_plane=InPlane(3, 4, transposed=True, flip_columns=True))
    (finding,) = pointed([0, 3, 0, 6, 0.9], run=run).findings
    assert (finding.geometry.row, finding.geometry.column) == (2.5, 3.5)
    assert finding.geometry.patient == pytest.approx((0, 3, 0))


def test_highest_candidates_are_kept_in_order_and_the_rest_is_told():
    rows = [[0, 0, 0, 5, 0.6], [0, 1, 0, 5, 0.9], [0, 2, 0, 5, 0.7], [0, 3, 0, 5, 0.2]]
    result = pointed(*rows, max_count=2)
    assert [finding.geometry.row for finding in result.findings] == [1.5, 2.5]
    assert result.flags == ("only the 2 highest of 3 candidates are listed",)


def test_equal_scores_are_ordered_by_place():
    rows = [[1, 0, 0, 5, 0.9], [0, 2, 0, 5, 0.9], [0, 1, 0, 5, 0.9]]
    found = pointed(*rows).findings
    assert [(each.geometry.source, each.geometry.row) for each in found] == [
        (frame(1), 1.5),
        (frame(1), 2.5),
        (frame(2), 0.5),
    ]


def test_empty_rows_are_no_candidates():
    result = pointed([np.nan] * 5, [0, 0, 0, 5, 0.1])
    assert result.findings == ()
    assert result.looked_for == (code(NODULE),)


def test_candidates_outside_the_images_are_told():
    result = pointed([5, 0, 0, 5, 0.9], [0, 0, -3, 5, 0.9])
    assert result.findings == ()
    assert result.flags == ("2 candidates outside the images were left out",)


def test_candidate_of_a_resized_picture_is_placed_in_the_original():
    columns = {"columns": ["y", "x", "score", "ignore"], "score": MASS}
    card = card_of(POINTS | columns, image=PICTURE)
    result = said(card, {"points": np.array([[2, 2, 0.9, np.nan]])}, picture_run())
    (finding,) = result.findings
    assert (finding.geometry.row, finding.geometry.column) == (5.0, 10.0)
    assert finding.geometry.patient is None
    assert finding.score.value == 0.9


def test_points_of_other_columns():
    with pytest.raises(ModelError, match="the card names 5 columns"):
        pointed([1, 2, 3])


BOXES = {
    "kind": "boxes",
    "name": "boxes",
    "columns": ["x1", "y1", "x2", "y2", "score", "class"],
    "classes": [{"code": MASS, "threshold": 0.5}, {"code": NODULE, "threshold": 0.8}],
    "score": MASS,
}


def boxed(*rows, run=None, image=PICTURE, **changes):
    card = card_of(BOXES | changes, image=image)
    return said(card, {"boxes": np.array([rows], np.float32)}, run or picture_run())


def edges(finding):
    return finding.geometry.left, finding.geometry.top, finding.geometry.right, finding.geometry.bottom


def test_box_of_a_resized_picture_is_placed_in_the_original():
    result = boxed([1, 2, 3, 5, 0.75, 0])
    (finding,) = result.findings
    assert (finding.key, finding.code, finding.score.value) == ("Mass 1", code(MASS), 0.75)
    assert edges(finding) == (4.0, 4.0, 12.0, 10.0)
    assert finding.geometry.source == frame(1)
    assert result.looked_for == (code(MASS), code(NODULE))


def test_every_class_has_its_threshold():
    result = boxed([0, 0, 1, 1, 0.75, 0], [0, 0, 1, 1, 0.75, 1], [2, 2, 3, 3, 0.8, 1])
    assert [finding.key for finding in result.findings] == ["Nodule 1", "Mass 2"]


def test_boxes_that_overlap_are_one_unless_their_classes_differ():
    rows = [[0, 0, 2, 2, 0.9, 0], [0, 0, 2, 3, 0.95, 0], [0, 0, 2, 2, 0.92, 1], [3, 3, 4, 4, 0.6, 0]]
    kept = boxed(*rows, max_overlap=0.5).findings
    assert [finding.key for finding in kept] == ["Mass 1", "Nodule 2", "Mass 3"]
    assert len(boxed(*rows).findings) == 4


def test_box_beyond_the_picture_is_cut_at_its_edge():
    (finding,) = boxed([-3, 4, 9, 2, 0.9, 0], [7, 0, 9, 2, 0.9, 0]).findings
    assert edges(finding) == (0.0, 4.0, 20.0, 8.0)


def test_box_on_a_turned_slice():
    columns = {"columns": ["z", "x1", "y1", "x2", "y2", "score"], "classes": BOXES["classes"][:1]}
    run = volume_run(in_plane=InPlane(3, 4, transposed=True, flip_columns=True))
    image = {"kind": "image", "name": "hu", "layout": "NCDHW", "values": "modality"}
    (finding,) = boxed([1, 0, 1, 2, 4, 0.9], run=run, image=image, **columns).findings
    assert finding.geometry.source == frame(2)
    assert edges(finding) == (1.0, 1.0, 4.0, 3.0)


def test_only_so_many_boxes():
    rows = [[0, 0, 1, 1, 0.6, 0], [2, 2, 3, 3, 0.9, 0]]
    result = boxed(*rows, max_count=1)
    assert [finding.score.value for finding in result.findings] == pytest.approx([0.9])
    assert result.flags == ("only the 1 highest of 2 boxes are listed",)


def test_box_of_an_unknown_class():
    with pytest.raises(ModelError, match="a box of class 2, the card names none such"):
        boxed([0, 0, 1, 1, 0.9, 2])


def guarded(number, **guard):
    guard = {"output": "volume", "reason": "no lungs: {value} ml", "action": "refuse"} | guard
    card = card_of(measured(value(0)), guards=[guard])
    return said(card, {"volume": np.array([number], np.float32)})


def test_broken_guard_refuses_with_its_reason():
    result = guarded(2.5, min=100)
    assert result.refusals == ("no lungs: 2.5 ml",)
    assert result.findings == ()


def test_broken_guard_flags():
    result = guarded(200, max=150, action="flag", reason="airway of {value} ml")
    assert result.flags == ("airway of 200 ml",)
    assert len(result.findings) == 1


def test_kept_guard_says_nothing():
    result = guarded(100, min=100, max=100)
    assert (result.refusals, result.flags) == ((), ())


def test_number_that_is_none_breaks_its_guard():
    assert guarded(np.nan, min=0).refusals == ("no lungs: nan ml",)
