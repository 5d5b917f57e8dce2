"""A foreign classifier runs from its card alone: real films in, the answers its source measured out."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from inference.analyse import analyse
from inference.inputs import InputImages
from models.catalog import Catalog
from models.runtime import Runtime
from tests.inference.stored_series import archive_in, stored

NAME = "cxr-mobilenetv3-int8"
CARDS = Path(__file__).parents[1] / "cards"


@pytest.fixture
def card(tmp_path, test_data):
    shutil.copytree(CARDS / NAME, tmp_path / "cards" / NAME)
    shutil.copy(test_data / "onnx" / NAME / "model.onnx", tmp_path / "cards" / NAME)
    return Catalog([tmp_path / "cards"]).get(NAME)


@pytest.fixture
def analysis_of(card, tmp_path, test_data):
    """Analyse one file of the test data with the classifier, through an archive."""
    runtime = Runtime(threads=1)
    with archive_in(tmp_path) as archive:

        def analysed(name):
            film = stored(archive, tmp_path, [(test_data / name).read_bytes()])
            return analyse(card, archive, runtime, [InputImages(tuple(film))])

        yield analysed


@pytest.mark.parametrize(
    ("name", "label", "score"),
    [
        ("test2", "Cardiomegaly", 0.9996),
        ("RG1_J2KI", "Mass", 0.9072),
        ("test1", "Fibrosis", 0.9999),
    ],
)
def test_film_gets_the_measured_answer(analysis_of, name, label, score):
    analysis = analysis_of(f"dicom/cxr/{name}.dcm")
    (finding,) = analysis.findings
    assert finding.key == label
    assert finding.score.value == pytest.approx(score, abs=0.05)
    assert finding.source.instance == analysis.sources[0]
    assert not analysis.is_negative


def test_film_that_says_it_is_a_ct_is_refused(analysis_of):
    analysis = analysis_of("dicom/cxr/test5.dcm")
    assert analysis.refusal == "Modality is CT, not CR or DX"
    assert analysis.findings == ()


def test_model_and_runtime_are_named(analysis_of):
    model = analysis_of("dicom/cxr/test2.dcm").model
    assert (model.name, model.version) == (NAME, "1.0.0")
    assert model.digest.startswith("1ed18d0d")
    assert dict(model.runtime)["provider"]


def test_films_that_run_together_get_what_each_gets_alone(card, caplog):
    noise = np.random.default_rng(1)
    films = [{"input": noise.normal(size=(1, 1, 224, 224)).astype(np.float32)} for _ in range(5)]
    runtime = Runtime(threads=1)
    together = runtime.run_all(card, films)
    assert [each["output"].tobytes() for each in together] == [
        runtime.run(card, film)["output"].tobytes() for film in films
    ]
    assert card.runtime.max_batch > len(films)
    assert "runs without batches" not in caplog.text


def test_same_film_same_answer(analysis_of):
    first, second = (analysis_of("dicom/cxr/test2.dcm") for _ in range(2))
    assert first.findings == second.findings
