"""Results for those who show no reports: valid, the same in every run, with everything in them."""

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from inference.findings import Analysis, SourceFrame
from inference.pipeline import Pipeline
from inference.results.context import ResultContext
from inference.results.sources import source_images
from inference.results.write import result_objects
from inference.summaries.make import Summaries
from inference.summaries.marks import lines, marked_frames
from inference.triggers import Triggers
from tests.inference.analyses import STUDY, candidates, ct_series, film_header, film_scores, lungs
from tests.inference.test_results import tool
from tests.support.programs import needs

CONTEXT = ResultContext("2.25.777", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
KINDS = ("sc", "gsps")
CASES = {
    "segments": (lungs, lambda: ct_series(WindowCenter=-500, WindowWidth=1500)),
    "places": (candidates, ct_series),
    "film": (film_scores, lambda: [film_header()]),
}


def over_stored(analysis: Analysis, archive) -> Analysis:
    """The analysis with the instances as they are in the archive."""

    def found(source: SourceFrame | None) -> SourceFrame | None:
        return source and replace(source, instance=archive.instance(source.instance.key.sop))

    findings = [
        replace(
            each,
            source=found(each.source),
            geometry=each.geometry and replace(each.geometry, source=found(each.geometry.source)),
        )
        for each in analysis.findings
    ]
    frames = tuple(found(each) for each in analysis.frames)
    return replace(analysis, findings=tuple(findings), frames=frames)


@pytest.fixture(params=CASES)
def made(request, archive, deliver) -> tuple[str, list[bytes], Analysis]:
    make, headers = CASES[request.param]
    images = headers()
    deliver(images)
    analysis = over_stored(make(images), archive)
    sources = source_images(ds.to_json().encode() for ds in images)
    objects = result_objects(analysis, sources, CONTEXT)
    summarize = Summaries(archive, KINDS)
    first, second = (summarize(objects, analysis, sources, CONTEXT) for _ in range(2))
    assert first.files == second.files
    assert len(first.uids) == len(first.files)
    assert dcmread(BytesIO(first.files[-1])).Modality == "SR"
    return request.param, list(first.files[len(objects.files) - 1 : -1]), analysis


def read(files: list[bytes]) -> list[Dataset]:
    return [dcmread(BytesIO(data)) for data in files]


@needs("dciodvfy")
def test_summaries_are_valid(made, tmp_path):
    for number, data in enumerate(made[1]):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        said = tool("dciodvfy", "-new", str(path))
        assert [line for line in said.splitlines() if line.startswith(("Error", "E:"))] == []


def test_there_is_a_page_of_text_a_page_for_each_frame_and_a_presentation_state(made):
    name, files, analysis = made
    objects = read(files)
    states = [each for each in objects if each.Modality == "PR"]
    pages = [each for each in objects if each.SOPClassUID.name == "Secondary Capture Image Storage"]
    marked = marked_frames(analysis)
    assert (len(pages), len(states)) == (1 + len(marked), 0 if name == "film" else 1)
    for page in pages:
        assert page.StudyInstanceUID == STUDY
        assert page.pixel_array.any()
    assert len({page.SeriesInstanceUID for page in pages}) == 1
    for state in states:
        drawn = [each.GraphicObjectSequence for each in state.GraphicAnnotationSequence]
        assert sum(map(len, drawn)) == sum(len(each.marks) for each in marked)
        assert state.RescaleIntercept == 0


def test_findings_are_drawn_where_they_are(archive, deliver):
    images = ct_series()
    deliver(images)
    analysis = over_stored(candidates(images), archive)
    sources = source_images(ds.to_json().encode() for ds in images)
    objects = Summaries(archive, ["sc"])(
        result_objects(analysis, sources, CONTEXT), analysis, sources, CONTEXT
    )
    _, picture, _ = read(list(objects.files[:-1]))
    pixels = picture.pixel_array
    yellow = np.argwhere((pixels[:768] == (255, 220, 0)).all(axis=-1))
    rows, columns = yellow.min(axis=0), yellow.max(axis=0)
    centre = (rows + columns) / 2 * 32 / 768
    assert np.allclose(centre, [12.75, 10.25], atol=0.2)


def test_the_words_say_what_was_measured_and_what_was_not_found():
    texts = lines(lungs(ct_series()))
    assert "Lung, Right: Volume 2123 ml; Attenuation Coefficient (Mean) -868.5 HU" in texts
    assert "Made by software. Not verified by a person." in texts
    nothing = replace(candidates(ct_series()), findings=(), flags=("lungs are cut",))
    assert lines(nothing)[-2:] == ["Nothing found. Looked for: Nodule", "Caution: lungs are cut"]


def test_work_comes_with_its_summaries(archive, spool, *, work, catalog, runtime, clock, deliver):
    deliver(ct_series(4))
    (uid,) = Triggers(archive, work, catalog, clock=clock).poll()
    summarize = Summaries(archive, KINDS)
    item = Pipeline(archive, spool, work, catalog, runtime, clock=clock, summarize=summarize).run(uid)
    kinds = [archive.instance(sop).sop_class for sop in item.results]
    assert kinds[0].endswith("88.34")
    assert {"1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.11.1"} < set(kinds)


def test_a_picture_that_cannot_be_drawn_does_not_cost_the_report(archive, deliver, caplog, monkeypatch):
    images = ct_series()
    deliver(images)
    analysis = over_stored(candidates(images), archive)
    sources = source_images(ds.to_json().encode() for ds in images)
    objects = result_objects(analysis, sources, CONTEXT)
    monkeypatch.setattr(archive, "frame", lambda *_: b"damaged")
    assert Summaries(archive, ["sc"])(objects, analysis, sources, CONTEXT) == objects
    assert "no summary" in caplog.text
