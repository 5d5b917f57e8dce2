"""Reports and masks say element for element what highdicom says in its own."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import DataElement, Dataset

from inference.findings import Analysis, Code, Finding, Measurement, SourceFrame
from inference.results.context import Report
from inference.results.rows import finding_records
from inference.results.sources import source_images
from inference.results.verified import Judged, verified_report
from inference.results.write import result_objects
from inference.reviews import Correction, Review, Reviewer, SignedReport, Verdict
from storage.header import read_header
from storage.instances import StoredInstance
from tests.inference import highdicom_results
from tests.inference.analyses import (
    DIAMETER,
    LUNG,
    MM,
    MODEL,
    analysis,
    candidates,
    ct_series,
    film_header,
    film_scores,
    lungs,
    stored,
)
from tests.inference.test_results import CASES, CONTEXT, film_mask

CLOCK = {f"{kind}{unit}" for kind in ("InstanceCreation", "Content", "Series") for unit in ("Date", "Time")}


def said(ds: Dataset, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every element with its place, numbers as numbers; not what depends on the clock or the maker."""
    for element in ds:
        where = f"{path}/{element.keyword}"
        if element.VR == "SQ":
            items = [each for each in element.value if each.get("ManufacturerModelName") != "highdicom"]
            if items or element.keyword != "ContributingEquipmentSequence":
                yield where, "SQ", len(items)
            for number, item in enumerate(items):
                yield from said(item, f"{where}[{number}]")
        elif element.keyword not in CLOCK and element.tag.group != 2:
            yield where, element.VR.removesuffix(" or OW"), value_of(element)


def told(ds: Dataset) -> dict[str, tuple[str, Any]]:
    return {where: (vr, value) for where, vr, value in said(ds)}


def value_of(element: DataElement) -> Any:
    value = element.value
    if element.VR == "PN":
        return str(value or "")
    if element.VR in {"DS", "FL", "FD"} and value not in (None, ""):
        return np.float32(value).tolist()
    if isinstance(value, bytes):
        return value.rstrip(b"\0")  # what fills the last byte
    return list(value) if element.VM > 1 else value or (0 if value == 0 else None)


def overlapping(headers) -> Analysis:
    analysed = lungs(headers)
    both = replace(analysed.segments[0], number=3, label="Lungs", values=(1, 2), laterality=None)
    return replace(analysed, segments=(*analysed.segments, both))


def one_segment(headers) -> Analysis:
    analysed = lungs(headers)
    return replace(analysed, segments=analysed.segments[:1], findings=analysed.findings[:1])


def odd(headers) -> Analysis:
    """Frames whose bits end within a byte."""
    labels = np.zeros((len(headers), 5, 5), np.uint8)
    labels[1:4, 1:3, 2:5] = 1
    analysed = one_segment(ct_series())
    return analysis(
        headers, segments=(replace(analysed.segments[0], labels=labels),), findings=analysed.findings
    )


def long_codes(headers) -> Analysis:
    code = Code("enlarged-cardiomediastinum", "99X", "Long")
    return analysis(
        headers, findings=tuple(replace(each, code=code) for each in film_scores(headers).findings[:1])
    )


def tilted() -> list[Dataset]:
    headers = ct_series(ImageOrientationPatient=[1, 0, 0, 0, 0.965926, 0.258819])
    for number, header in enumerate(headers):
        header.ImagePositionPatient = [-10, -20.5, 3.3 * number]
    return headers


def beside_a_prior(headers) -> Analysis:
    """The last images are of another study."""
    return replace(candidates(headers[:6]), sources=tuple(map(stored, headers)))


MORE = {
    "beside a prior": (
        beside_a_prior,
        lambda: [*ct_series(), *ct_series(StudyInstanceUID="2.25.300", SeriesInstanceUID="2.25.301")],
    ),
    "overlapping": (overlapping, ct_series),
    "one segment": (one_segment, ct_series),
    "odd": (odd, lambda: ct_series(rows=5, columns=5)),
    "backwards": (lungs, lambda: list(reversed(ct_series()))),
    "tilted": (lungs, tilted),
    "long codes": (long_codes, lambda: [film_header()]),
    "film with a mask": (film_mask, lambda: [film_header()]),
    "critical, doubtful": (
        lambda headers: replace(
            candidates(headers, flags=("doubt",)),
            findings=tuple(replace(each, critical=True) for each in candidates(headers).findings),
        ),
        ct_series,
    ),
    "nobody's": (film_scores, lambda: [film_header(Manufacturer="", PatientName="", AccessionNumber="")]),
}


@pytest.mark.parametrize("case", [*CASES, *MORE])
@pytest.mark.parametrize(
    "context", [CONTEXT, replace(CONTEXT, predecessor=Report("2.25.100", "2.25.8", "2.25.9"))]
)
def test_what_highdicom_says_is_said(case, context):
    make, series = (CASES | MORE)[case]
    headers = series()
    assert_the_same(make(headers), source_images(ds.to_json().encode() for ds in headers), context)


def assert_the_same(analysed, images, context) -> None:
    ours = [pydicom.dcmread(BytesIO(each)) for each in result_objects(analysed, images, context).files]
    theirs = highdicom_results.results(analysed, images, context)

    assert [told(each) for each in ours] == [told(each) for each in theirs]


def test_masks_over_a_multi_frame_image_are_those_of_highdicom(test_data):
    header = read_header(test_data / "dicom" / "enhanced" / "eCT_Supplemental.dcm")
    instance = StoredInstance(
        header.key, header.sop_class, header.transfer_syntax, header.size, header.digest, "", 1, None, 2
    )
    (image,) = source_images([header.json])
    labels = np.zeros((1, image.Rows, image.Columns), np.uint8)
    labels[0, 100:120, 50:90] = 1
    one = replace(lungs(ct_series()).segments[0], labels=labels)
    finding = Finding("lung", LUNG, segment=1, measurements=(Measurement(DIAMETER, 9.0, MM),))
    analysed = Analysis(MODEL, (instance,), (SourceFrame(instance, 2),), (finding,), (one,))

    assert_the_same(analysed, [image], CONTEXT)


def test_verified_reports_say_what_those_of_highdicom_say():
    headers = ct_series()
    images = {str(ds.SOPInstanceUID): ds for ds in source_images(ds.to_json().encode() for ds in headers)}
    ann = Reviewer("Reader^Ann")
    first, second = finding_records(candidates(headers), CONTEXT)
    (film,) = finding_records(
        replace(candidates(headers), findings=candidates(headers).findings[:1]), CONTEXT
    )
    verdicts = (
        Review(1, "", Verdict.ACCEPT, ann, CONTEXT.at, "yes"),
        Review(2, "", Verdict.REJECT, ann, CONTEXT.at, "a vessel"),
        Review(3, "", Verdict.CORRECT, ann, CONTEXT.at, correction=Correction(measurements=())),
    )
    findings = [Judged(*each) for each in zip((first, second, film), verdicts, strict=True)]
    findings.append(Judged(replace(film, model="", version="", region=None), None))
    report = SignedReport("2.25.50", "2.25.100", "2.25.51", ann, CONTEXT.at, {}, ("2.25.52",))
    rest = findings, images, [Report("2.25.100", "2.25.101", "2.25.52")], "Hospital"
    ours = told(pydicom.dcmread(BytesIO(verified_report(report, *rest))))
    theirs = told(highdicom_results.verified_report(report, *rest))

    # It asks the clock.
    theirs |= {where: ours[where] for where in theirs if where.endswith("/VerificationDateTime")}
    assert ours == theirs
