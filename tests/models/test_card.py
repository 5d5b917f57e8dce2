"""Cards: what is accepted, and errors that name file, line and key."""

import re
from pathlib import Path

import pytest

from models.card import Card, load_card
from models.errors import CardError
from models.schema.inputs import ImageInput
from models.schema.outputs import ScoresOutput

CARDS = Path(__file__).parents[1] / "cards"
CXR = CARDS / "cxr-mobilenetv3-int8"


def written(folder: Path, old: str = "", new: str = "") -> Path:
    text = (CXR / "card.toml").read_text()
    assert old in text
    (folder / "card.toml").write_text(text.replace(old, new, 1))
    return folder


def message(folder: Path) -> str:
    with pytest.raises(CardError) as caught:
        load_card(folder)
    return str(caught.value)


def line_of(folder: Path, text: str) -> int:
    return (folder / "card.toml").read_text().splitlines().index(text) + 1


def test_card_of_a_foreign_model_is_read():
    card = load_card(CXR)
    assert isinstance(card.image, ImageInput)
    assert card.image.resize is not None
    assert (card.image.resize.rows, card.image.mean, card.image.std) == (224, (0.485,), (0.229,))
    (scores,) = card.outputs
    assert isinstance(scores, ScoresOutput)
    assert [label.label for label in scores.labels][:2] == ["No Finding", "Infiltration"]
    assert card.model_path == CXR / "model.onnx"
    assert re.fullmatch("[0-9a-f]{64}", card.digest)


def test_inputs_are_told_in_words():
    first = ImageInput(kind="image", name="t1", layout="NCDHW", values="modality")
    prior = first.model_copy(
        update={"name": "prior", "origin": "prior study", "align": "t1", "optional": True}
    )
    assert first.in_words == "t1 of the study"
    assert prior.in_words == "prior of the prior study, aligned with t1, optional"


def test_card_is_immutable():
    card = load_card(CXR)
    with pytest.raises(ValueError, match="frozen"):
        card.name = "other"


def test_changed_threshold_is_another_card(tmp_path):
    written(tmp_path, "threshold = 0.5", "threshold = 0.6")
    assert load_card(tmp_path).digest != load_card(CXR).digest


def test_folder_without_card(tmp_path):
    assert message(tmp_path) == f"{tmp_path / 'card.toml'}: No such file or directory"


def test_text_that_is_no_toml_names_the_line(tmp_path):
    (tmp_path / "card.toml").write_text('schema = 1\nname = "a\n')
    assert "card.toml: not TOML:" in message(tmp_path)
    assert "line 2" in message(tmp_path)


def test_unknown_key_is_named_with_its_line(tmp_path):
    written(tmp_path, 'dtype = "float32"', 'dtyp = "float32"')
    line = line_of(tmp_path, 'dtyp = "float32"')
    assert message(tmp_path) == f"{tmp_path}/card.toml:{line}: inputs[1].dtyp: Extra inputs are not permitted"


def test_wrong_value_in_a_repeated_table_is_named_with_its_line(tmp_path):
    written(tmp_path, 'label = "Nodule"\n', 'label = "Nodule"\ncolour = "red"\n')
    line = line_of(tmp_path, 'colour = "red"')
    assert f"card.toml:{line}: outputs[1].labels[5].colour:" in message(tmp_path)


def test_missing_key_names_the_table_it_belongs_to(tmp_path):
    written(tmp_path, 'modality = ["CR", "DX"]\n')
    line = line_of(tmp_path, "[applies_to]")
    assert message(tmp_path) == f"{tmp_path}/card.toml:{line}: applies_to.modality: Field required"


def test_every_problem_is_told_at_once(tmp_path):
    written(tmp_path, 'licence = "MIT"\n')
    written_text = (tmp_path / "card.toml").read_text().replace("divide_by = 255", "divide_by = 0")
    (tmp_path / "card.toml").write_text(written_text)
    assert len(message(tmp_path).splitlines()) == 2


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("schema = 1", "schema = 2", "schema: Input should be 1"),
        ('name = "cxr-', 'name = "CXR ', "name: String should match"),
        ('"model.onnx"', '"../model.onnx"', "file must lie in the card's folder"),
        ('"model.onnx"', '"/etc/model.onnx"', "file must lie in the card's folder"),
        ("1ed18d0d", "xyz", "model.sha256"),
        ('"NCHW"', '"NCDHW"', "neither resized"),
        ("mean = [0.485]", "mean = [0.485, 0.4]", "mean needs one number per channel (1)"),
        ("threshold = 0.5", "threshold = 1.5", "threshold of 'Infiltration' is not between 0 and 1"),
        ("threshold = 0.5", "threshold = nan", "finite number"),
        ('scope = "instance"', 'scope = "series"', "go together"),
        (
            'code = { value = "112121", scheme = "DCM", meaning = "Infiltrate" }\n',
            "",
            "'Infiltration' is a finding and needs a code",
        ),
        ('kind = "scores"', 'kind = "magic"', "magic"),
    ],
)
def test_card_that_says_what_cannot_be(tmp_path, old, new, reason):
    written(tmp_path, old, new)
    assert reason in message(tmp_path)


VOLUME = """
schema = 1
name = "lungs"
version = "1"
title = "Lungs"
task = "segmentation"
intended_use = "Tests"
not_for = ["anything else"]
licence = "Apache-2.0"
origin = "here"
[model]
sha256 = "{digest}"
[applies_to]
scope = "series"
modality = ["CT"]
[checks]
geometry = "regular-volume"
[[inputs]]
kind = "image"
name = "hu"
dtype = "int16"
layout = "NCDHW"
values = "modality"
[[outputs]]
kind = "label-map"
name = "labels"
[[outputs.segments]]
name = "right"
values = [1]
label = "Right lung"
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
colour = [200, 100, 100]
[[outputs]]
kind = "measurement"
name = "volume"
[[outputs.groups]]
key = "right"
finding = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
segment = "{segment}"
[[outputs.groups.values]]
index = [0]
concept = {{ value = "118565006", scheme = "SCT", meaning = "Volume" }}
unit = {{ value = "ml", scheme = "UCUM", meaning = "ml" }}
"""


def test_measurement_group_names_its_segment(tmp_path):
    (tmp_path / "card.toml").write_text(VOLUME.format(digest="0" * 64, segment="right"))
    card: Card = load_card(tmp_path)
    assert card.output_names == {"labels", "volume"}


def test_measurement_of_a_segment_that_is_not_declared(tmp_path):
    (tmp_path / "card.toml").write_text(VOLUME.format(digest="0" * 64, segment="left"))
    assert "measures segment 'left', which is not declared" in message(tmp_path)


def test_volume_without_geometry_check_is_refused(tmp_path):
    text = VOLUME.format(digest="0" * 64, segment="right").replace('geometry = "regular-volume"', "")
    (tmp_path / "card.toml").write_text(text)
    assert 'a volume needs checks.geometry = "regular-volume"' in message(tmp_path)


def several(*inputs: str) -> str:
    volume = 'kind = "image"\nlayout = "NCDHW"\nvalues = "modality"\n'
    return "".join(f"[[inputs]]\n{'' if each.startswith('kind') else volume}{each}\n" for each in inputs)


MATCH = 'match = { attributes = [{ keyword = "SeriesDescription", like = ["*T1*"] }] }'
FIRST = f'name = "t1"\n{MATCH}'


@pytest.mark.parametrize(
    ("inputs", "line", "said"),
    [
        ([FIRST, 'name = "flair"'], "[[inputs]]", "of several image inputs each needs match"),
        ([FIRST, f'name = "flair"\n{MATCH}\nalign = "t2"'], 'align = "t2"', "'t2' is no image input before"),
        ([f'{FIRST}\nfrom = "prior study"'], 'from = "prior study"', "it has no from"),
        ([FIRST, f'name = "b"\n{MATCH}\noptional = true'], "[[inputs]]", "needs align"),
        ([FIRST, 'kind = "presence"\nname = "there"\nof = "t1"'], 'of = "t1"', "'t1' is no optional input"),
        (
            [FIRST, f'name = "b"\n{MATCH}\nalign = "t1"\nspacing_mm = [1, 1, 1]'],
            "[[inputs]]",
            "has none of its own",
        ),
    ],
)
def test_inputs_that_do_not_go_together_are_named_by_their_line(tmp_path, inputs, line, said):
    text = (CARDS / "brain-meshnet" / "card.toml").read_text()
    before, _, after = text.partition("[[inputs]]")
    rest = after[after.index("[[outputs]]") :]
    (tmp_path / "card.toml").write_text(before + several(*inputs) + rest)
    lines = (tmp_path / "card.toml").read_text().splitlines()
    place = max(number for number, each in enumerate(lines, 1) if each == line)
    assert message(tmp_path).startswith(f"{tmp_path / 'card.toml'}:{place}: inputs")
    assert said in message(tmp_path)
