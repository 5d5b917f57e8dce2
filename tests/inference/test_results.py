"""Results as DICOM: valid, the same in every run, readable by others, and equal to their rows."""

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise

import highdicom as hd
import numpy as np
import pydicom
import pytest

from inference.findings import Analysis, Box, Code, Finding, Measurement, Score, SourceFrame
from inference.results.context import Report, ResultContext
from inference.results.reading import is_report, read_findings
from inference.results.rows import finding_records
from inference.results.sources import source_images
from inference.results.write import ResultObjects, result_objects
from storage.header import read_header
from storage.instances import StoredInstance
from tests.conftest import missing
from tests.inference.analyses import (
    CERTAINTY,
    DIAMETER,
    LUNG,
    MM,
    MODEL,
    NODULE,
    SERIES,
    STUDY,
    analysis,
    candidates,
    ct_series,
    film_header,
    film_scores,
    lungs,
    stored,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
CONTEXT = ResultContext("2.25.777", AT)


def box_on(headers) -> Analysis:
    finding = Finding(
        "box",
        NODULE,
        score=Score(3.25, Code("raw", "99TEST", "Raw model output")),
        measurements=(Measurement(DIAMETER, 1 / 3, MM),),
        geometry=Box(SourceFrame(stored(headers[0])), 1.25, 2.5, 10.75, 20.1),
    )
    return analysis(headers, findings=(finding,), flags=("one doubt", "another doubt"))


def nothing_found(headers) -> Analysis:
    return analysis(headers, looked_for=(NODULE,))


def beside_each_other(headers) -> Analysis:
    """Lungs, candidates and doubts in one report."""
    return lungs(headers, flags=("doubt",), looked_for=(LUNG, NODULE))


CASES = {
    "lungs": (lungs, ct_series),
    "candidates": (candidates, ct_series),
    "film": (film_scores, lambda: [film_header()]),
    "box": (box_on, ct_series),
    "nothing found": (nothing_found, ct_series),
    "nothing found on a film": (nothing_found, lambda: [film_header()]),
    "side by side": (beside_each_other, ct_series),
}


def made(analysed: Analysis, headers, context: ResultContext = CONTEXT) -> ResultObjects:
    return result_objects(analysed, source_images(ds.to_json().encode() for ds in headers), context)


def read(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(data))


@pytest.fixture(params=CASES)
def case(request) -> tuple[Analysis, list[pydicom.Dataset]]:
    make, headers = CASES[request.param]
    made_headers = headers()
    return make(made_headers), made_headers


def tool(*command: str) -> str:
    if shutil.which(command[0]) is None:
        missing(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    return done.stdout + done.stderr


def test_dciodvfy_finds_no_error(case, tmp_path):
    for number, data in enumerate(made(*case).files):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        said = tool("dciodvfy", "-new", str(path))
        assert [line for line in said.splitlines() if line.startswith(("Error", "E:"))] == []
        assert said.strip()


def test_dsrdump_reads_the_report(case, tmp_path):
    path = tmp_path / "sr.dcm"
    path.write_bytes(made(*case).files[-1])

    said = tool("dsrdump", str(path))
    assert "Imaging Measurement Report" in said
    assert [line for line in said.splitlines() if line.startswith("E:")] == []


def test_the_report_read_back_gives_the_rows(case):
    objects = made(*case)
    sr = read(objects.files[-1])

    assert is_report(sr)
    assert tuple(read_findings(sr)) == objects.records


def test_highdicom_reads_every_group(case):
    objects = made(*case)
    content = hd.sr.srread(BytesIO(objects.files[-1])).content
    groups = [
        *content.get_planar_roi_measurement_groups(),
        *content.get_volumetric_roi_measurement_groups(),
        *content.get_image_measurement_groups(),
    ]

    assert sorted(group.tracking_uid for group in groups) == sorted(r.tracking_uid for r in objects.records)


def test_a_second_run_writes_the_same_bytes(case):
    assert made(*case) == made(*case)


def test_other_work_has_other_uids(case):
    ours, theirs = made(*case), made(*case, replace(CONTEXT, work_item="2.25.778"))

    assert not set(ours.uids) & set(theirs.uids)
    assert not {r.tracking_uid for r in ours.records} & {r.tracking_uid for r in theirs.records}


def test_all_uids_are_valid_and_derived_from_uuids(case):
    for uid in made(*case).uids:
        assert pydicom.uid.UID(uid).is_valid
        assert (int(uid.removeprefix("2.25.")) >> 76) & 0xF == 8


def groups_of(sr: pydicom.Dataset) -> list[pydicom.Dataset]:
    measurements = next(
        item for item in sr.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    )
    assert measurements.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    return list(measurements.ContentSequence)


def test_the_meanings_that_ohif_compares_as_text_are_exact(case):
    sr = read(made(*case).files[-1])

    assert sr.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert sr.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    for group in groups_of(sr):
        assert group.ConceptNameCodeSequence[0].CodeMeaning == "Measurement Group"
        meanings = [item.ConceptNameCodeSequence[0].CodeMeaning for item in group.ContentSequence]
        assert meanings.count("Tracking Identifier") == 1
        assert meanings.count("Tracking Unique Identifier") == 1


@pytest.mark.parametrize("make", [candidates, box_on])
def test_the_region_also_lies_below_the_first_number_so_that_viewers_can_edit_it(make):
    for group in groups_of(read(made(make(ct_series()), ct_series()).files[-1])):
        first = next(item for item in group.ContentSequence if item.ValueType == "NUM")
        nested = next(item for item in first.ContentSequence if item.ValueType == "SCOORD")
        region = next(item for item in group.ContentSequence if item.ValueType == "SCOORD")

        assert (nested.RelationshipType, nested.GraphicType) == ("INFERRED FROM", region.GraphicType)
        assert list(nested.GraphicData) == list(region.GraphicData)
        for scoord in (nested, region):
            image = scoord.ContentSequence[0]
            assert image.RelationshipType == "SELECTED FROM"
            assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID.startswith(SERIES)


@pytest.mark.parametrize(("make", "tool"), [(candidates, "Probe"), (box_on, "RectangleROI")])
def test_the_tracking_identifier_begins_with_the_tool_that_edits_the_region(make, tool):
    objects = made(make(ct_series()), ct_series())
    identifiers = [
        item.TextValue
        for group in groups_of(read(objects.files[-1]))
        for item in group.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "112039"
    ]

    assert identifiers == [f"Cornerstone3DTools@^0.1.0:{tool}:{record.key}" for record in objects.records]


def test_a_report_names_its_images_its_mask_and_its_work_item():
    objects = made(lungs(ct_series()), ct_series())
    sr = read(objects.files[-1])
    evidence = {
        instance.ReferencedSOPInstanceUID
        for study in sr.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }

    assert evidence == {ds.SOPInstanceUID for ds in ct_series()} | {objects.uids[1]}
    step = sr.ReferencedPerformedProcedureStepSequence[0]
    assert (step.ReferencedSOPInstanceUID, objects.records[0].work_item) == ("2.25.777", "2.25.777")


def test_a_report_is_a_draft_of_a_named_device():
    sr = read(made(candidates(ct_series()), ct_series()).files[-1])

    assert (sr.VerificationFlag, sr.CompletionFlag, sr.PreliminaryFlag) == (
        "UNVERIFIED",
        "COMPLETE",
        "PRELIMINARY",
    )
    assert (sr.Manufacturer, sr.ManufacturerModelName) == ("Isocenter", "CT lung density")
    assert list(sr.SoftwareVersions) == ["ct-lung-density 1.0.0", "onnxruntime 1.32.0"]
    assert (sr.SeriesNumber, sr.Modality) == (901, "SR")


def test_every_group_identifies_the_algorithm():
    for group in groups_of(read(made(lungs(ct_series()), ct_series()).files[-1])):
        texts = {
            (item.ConceptNameCodeSequence[0].CodeMeaning, item.get("TextValue"))
            for item in group.ContentSequence
            if item.RelationshipType == "HAS CONCEPT MOD"
        }
        assert {("Algorithm Name", "ct-lung-density"), ("Algorithm Version", "1.0.0")} <= texts
        assert ("Algorithm Parameters", "provider CPUExecutionProvider") in texts


def test_a_superseding_report_names_its_predecessor():
    context = replace(CONTEXT, predecessor=Report(STUDY, "2.25.5", "2.25.6"))
    sr = read(made(lungs(ct_series()), ct_series(), context).files[-1])

    series = sr.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == "2.25.5"
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.6"


def test_patient_and_study_come_from_the_images():
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    headers = ct_series(PatientName=name, StudyDescription="Thorax, nüchtern", PatientAge="065Y")
    for data in made(lungs(headers), headers).files:
        ds = read(data)
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert (ds.PatientName, ds.StudyDescription, ds.PatientAge) == (name, "Thorax, nüchtern", "065Y")
        assert (ds.PatientID, ds.AccessionNumber, ds.StudyDate) == ("P-1", "A1", "20260102")
        assert ds.StudyInstanceUID == STUDY


def test_times_are_at_the_offset_that_the_images_name():
    headers = ct_series(TimezoneOffsetFromUTC="+0930")
    for data in made(lungs(headers), headers).files:
        ds = read(data)
        assert (ds.TimezoneOffsetFromUTC, ds.ContentDate) == ("+0930", "20260102")
        assert (ds.ContentTime, ds.SeriesTime, ds.InstanceCreationTime) == ("123405.678901",) * 3


def test_what_is_wrong_in_the_images_does_not_come_into_the_results(tmp_path):
    headers = ct_series()
    jsons = []
    for ds in headers:
        attributes = ds.to_json_dict()
        attributes["00100030"]["Value"] = ["unknown"]
        attributes["00100040"]["Value"] = ["female"]
        del attributes["00080090"], attributes["00200010"]
        jsons.append(json.dumps(attributes).encode())
    images = source_images(jsons)
    objects = result_objects(candidates(headers), images, CONTEXT)

    sr = read(objects.files[-1])
    assert (sr.PatientBirthDate, sr.PatientSex, sr.ReferringPhysicianName, sr.StudyID) == ("",) * 4
    assert sr.PatientID == "P-1"


def segments_of(data: bytes) -> hd.seg.Segmentation:
    return hd.seg.segread(BytesIO(data))


def test_the_masks_come_back_pixel_for_pixel_on_their_images():
    headers = ct_series()
    analysed = lungs(headers)
    seg = segments_of(made(analysed, headers).files[0])

    pixels = seg.get_pixels_by_source_instance(
        [ds.SOPInstanceUID for ds in headers], segment_numbers=[1, 2], assert_missing_frames_are_empty=True
    )
    for channel, segment in enumerate(analysed.segments):
        expected = np.stack([segment.mask(frame) for frame in range(len(headers))])
        assert np.array_equal(pixels[..., channel], expected)


def test_frames_exist_only_where_a_segment_has_pixels():
    seg = segments_of(made(lungs(ct_series()), ct_series()).files[0])

    assert seg.NumberOfFrames == 4 + 3
    assert (seg.SegmentationType, seg.SeriesNumber, seg.Modality) == ("BINARY", 900, "SEG")


def test_the_frames_lie_where_the_images_lie():
    headers = ct_series()
    seg = segments_of(made(lungs(headers), headers).files[0])
    positions = {ds.SOPInstanceUID: list(ds.ImagePositionPatient) for ds in headers}
    shared = seg.SharedFunctionalGroupsSequence[0]

    assert seg.FrameOfReferenceUID == headers[0].FrameOfReferenceUID
    assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == [0.7, 0.7]
    assert list(shared.PlaneOrientationSequence[0].ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert list(frame.PlanePositionSequence[0].ImagePositionPatient) == positions[source]


def test_slices_in_the_order_of_the_model_keep_their_masks():
    """The canonical order may run against the order of the instance numbers."""
    headers = list(reversed(ct_series()))
    analysed = lungs(headers)
    seg = segments_of(made(analysed, headers).files[0])

    pixels = seg.get_pixels_by_source_instance(
        [ds.SOPInstanceUID for ds in headers], segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    expected = np.stack([analysed.segments[0].mask(frame) for frame in range(len(headers))])
    assert np.array_equal(pixels[..., 0], expected)


def test_segments_are_coded_and_say_what_made_them():
    seg = segments_of(made(lungs(ct_series()), ct_series()).files[0])
    right = seg.SegmentSequence[0]
    kind = right.SegmentedPropertyTypeCodeSequence[0]

    assert (right.SegmentNumber, right.SegmentLabel, right.SegmentAlgorithmType) == (
        1,
        "Right lung",
        "AUTOMATIC",
    )
    assert (kind.CodeValue, kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning) == (
        "39607008",
        "Right",
    )
    algorithm = right.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("ct-lung-density", "1.0.0")
    assert right.RecommendedDisplayCIELabValue != seg.SegmentSequence[1].RecommendedDisplayCIELabValue


def test_a_mask_without_pixels_makes_no_segmentation():
    headers = ct_series()
    analysed = candidates(headers)
    empty = [replace(each, labels=np.zeros_like(each.labels)) for each in lungs(headers).segments]

    assert len(made(replace(analysed, segments=tuple(empty)), headers).files) == 1


def film_mask(headers) -> Analysis:
    labels = np.zeros((1, headers[0].Rows, headers[0].Columns), np.uint8)
    labels[0, 10:20, 10:30] = 1
    one = replace(lungs(ct_series()).segments[0], labels=labels)
    heart = Finding(
        "heart", LUNG, presence="not stated", segment=1, measurements=(Measurement(DIAMETER, 90.0, MM),)
    )
    return analysis(headers, segments=(one,), findings=(heart,))


@pytest.mark.parametrize(
    ("headers", "make"),
    [
        (ct_series(SliceThickness=None), lungs),
        (ct_series(SliceThickness=""), lungs),
        (ct_series(FrameOfReferenceUID=None), lungs),
        (ct_series(PositionReferenceIndicator=None, InstanceNumber=None), lungs),
        ([film_header()], film_mask),
        ([film_header(FrameOfReferenceUID="2.25.9")], film_mask),
        ([film_header(ImagerPixelSpacing=None)], film_mask),
    ],
    ids=[
        "no slice thickness",
        "empty slice thickness",
        "no frame of reference",
        "no instance number",
        "film",
        "film with a frame of reference",
        "film without spacing",
    ],
)
def test_images_that_lack_what_many_lack_get_valid_masks(headers, make, tmp_path):
    data = made(make(headers), headers).files[0]
    path = tmp_path / "seg.dcm"
    path.write_bytes(data)

    said = tool("dciodvfy", "-new", str(path))
    assert [line for line in said.splitlines() if line.startswith(("Error", "E:"))] == []
    pixels = segments_of(data).get_pixels_by_source_instance(
        [ds.SOPInstanceUID for ds in headers], segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    assert pixels.sum() == (make(headers).segments[0].labels == 1).sum()


def test_masks_over_some_frames_of_a_multi_frame_image(test_data, tmp_path):
    header = read_header(test_data / "dicom" / "enhanced" / "eCT_Supplemental.dcm")
    instance = StoredInstance(
        header.key, header.sop_class, header.transfer_syntax, header.size, header.digest, "", 1, None, 2
    )
    (image,) = source_images([header.json])
    labels = np.zeros((1, image.Rows, image.Columns), np.uint8)
    labels[0, 100:120, 50:90] = 1
    one = replace(lungs(ct_series()).segments[0], labels=labels)
    finding = Finding("lung", LUNG, segment=1, measurements=(Measurement(DIAMETER, 9.0, MM),))
    places = (SourceFrame(instance, 2),)
    analysed = Analysis(MODEL, (instance,), places, (finding,), (one,))
    objects = result_objects(analysed, [image], CONTEXT)

    for number, data in enumerate(objects.files):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        said = tool("dciodvfy", "-new", str(path))
        assert [line for line in said.splitlines() if line.startswith(("Error", "E:"))] == []
    pixels = segments_of(objects.files[0]).get_pixels_by_source_frame(
        image.SOPInstanceUID, [1, 2], segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    assert np.array_equal(pixels[..., 0], np.stack([np.zeros_like(labels[0]), labels[0]]))
    assert tuple(read_findings(read(objects.files[1]))) == objects.records


def test_overlapping_segments_are_both_whole():
    headers = ct_series()
    analysed = lungs(headers)
    both = replace(analysed.segments[0], number=3, label="Lungs", values=(1, 2), laterality=None)
    analysed = replace(analysed, segments=(*analysed.segments, both))
    seg = segments_of(made(analysed, headers).files[0])

    pixels = seg.get_pixels_by_source_instance(
        [ds.SOPInstanceUID for ds in headers], assert_missing_frames_are_empty=True
    )
    assert [int(count) for count in pixels.sum(axis=(0, 1, 2))] == [
        16 * 9 * 4,
        16 * 10 * 3,
        16 * 46 + 16 * 20,
    ]


def test_doubts_are_said_in_every_group():
    headers = ct_series()
    objects = made(beside_each_other(headers), headers)

    assert {record.flags for record in objects.records} == {("doubt",)}
    for group in groups_of(read(objects.files[-1])):
        assert "Caution: doubt" in [item.get("TextValue") for item in group.ContentSequence]


def test_what_was_looked_for_and_not_found_is_said():
    headers = ct_series()
    records = finding_records(beside_each_other(headers), CONTEXT)

    assert [(r.code, r.presence) for r in records] == [
        (LUNG, "not stated"),
        (LUNG, "not stated"),
        (NODULE, "absent"),
    ]


def test_scores_are_certainties_in_percent_or_bare_numbers():
    film = groups_of(read(made(film_scores([film_header()]), [film_header()]).files[-1]))[0]
    box = groups_of(read(made(box_on(ct_series()), ct_series()).files[-1]))[0]
    values = [
        (item.MeasuredValueSequence[0].NumericValue, unit.CodeValue)
        for group in (film, box)
        for item in group.ContentSequence
        if item.ValueType == "NUM"
        for unit in [item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]]
    ]

    assert values == [(99.96, "%"), (0.3333333333, "mm"), (3.25, "{score}")]


@pytest.mark.parametrize(
    "nothing",
    [analysis(ct_series()), lungs(ct_series(), refusal="2 slices are missing")],
    ids=["silent", "refused"],
)
def test_without_an_answer_there_is_no_report(nothing):
    with pytest.raises(ValueError, match="nothing to report"):
        made(nothing, ct_series())


def test_reports_of_others_are_not_taken_for_ours(test_data):
    reports = [pydicom.dcmread(path) for path in sorted((test_data / "dicom" / "sr").iterdir())]

    assert reports
    assert not any(is_report(sr) for sr in reports)


def test_values_of_the_same_measurement_keep_their_order():
    records = finding_records(lungs(ct_series()), CONTEXT)
    volumes = [record.measurements[0].value for record in records]

    assert volumes == [2123.123457, 1875.5]
    assert all(before > after for before, after in pairwise(volumes))
    assert CERTAINTY.value == "111012"
