"""Reports as OHIF (Cornerstone's adapters) writes them, stored into a study with findings of ours."""

from collections.abc import Sequence
from io import BytesIO

import pytest
from pydicom import Dataset, config
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from inference.findings import Code, Measurement
from inference.findings_sql import SqlFindings
from inference.outside_reviews import OutsideReviews
from inference.records import FindingRecord, Region
from inference.reviewing import Reviews
from inference.reviews import Verdict
from inference.reviews_sql import SqlReviews
from storage.instances import Origin
from tests.inference.analyses import ct_series
from tests.inference.test_workitems import finding

DIAMETER = Code("81827009", "SCT", "Diameter")
MM = Code("mm", "UCUM", "mm")


def coded(value: str, scheme: str, meaning: str) -> list[Dataset]:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return [code]


def item(kind: str, name: tuple[str, str, str] | None, **values) -> Dataset:
    made = Dataset()
    made.RelationshipType, made.ValueType = values.pop("relation", "CONTAINS"), kind
    if name:
        made.ConceptNameCodeSequence = coded(*name)
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def scoord(sop: str, points: Sequence[float], kind: str = "POLYLINE") -> Dataset:
    """Without a name of its own, below the number, as the adapters have it."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", sop
    image = item("IMAGE", None, relation="SELECTED FROM", ReferencedSOPSequence=[reference])
    return item(
        "SCOORD",
        None,
        relation="INFERRED FROM",
        GraphicType=kind,
        GraphicData=list(points),
        ContentSequence=[image],
    )


def group(
    place: Dataset,
    *,
    tracking: str = "",
    label: str = "Nodule",
    value: float = 12.0,
    concept: Code = DIAMETER,
) -> Dataset:
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = coded("mm", "UCUM", "mm")
    name = (concept.value, concept.scheme, concept.meaning)
    number = item("NUM", name, MeasuredValueSequence=[measured], ContentSequence=[place])
    tracked = tracking or generate_uid()
    return item(
        "CONTAINER",
        ("125007", "DCM", "Measurement Group"),
        ContinuityOfContent="SEPARATE",
        ContentSequence=[
            item(
                "TEXT",
                ("112039", "DCM", "Tracking Identifier"),
                TextValue="Cornerstone3DTools@^0.1.0:RectangleROI",
            ),
            item("UIDREF", ("112040", "DCM", "Tracking Unique Identifier"), UID=tracked),
            item(
                "CODE",
                ("121071", "DCM", "Finding"),
                ConceptCodeSequence=coded("CORNERSTONEFREETEXT", "CORNERSTONEJS", label),
            ),
            number,
        ],
    )


def report(
    study: str, groups: Sequence[Dataset], person: str = "Reader^Ann", kind: str = "121006"
) -> Dataset:
    sr = Dataset()
    sr.SOPClassUID, sr.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.33", generate_uid()
    sr.StudyInstanceUID, sr.SeriesInstanceUID, sr.Modality = study, generate_uid(), "SR"
    sr.PatientID, sr.PatientName = "P1", "Doe^Jane"
    sr.ConceptNameCodeSequence = coded("126000", "DCM", "Imaging Measurement Report")
    sr.ContentSequence = [
        item("CODE", ("121005", "DCM", "Observer Type"), ConceptCodeSequence=coded(kind, "DCM", "Observer")),
        item("PNAME", ("121008", "DCM", "Person Observer Name"), PersonName=person),
        item("CONTAINER", ("126010", "DCM", "Imaging Measurements"), ContentSequence=list(groups)),
    ]
    return sr


def encoded(sr: Dataset) -> bytes:
    sr.file_meta = FileMetaDataset()
    sr.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    sr.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class Room:
    """A study with one finding of a model, and who follows what is stored into it."""

    def __init__(self, archive, spool, engine, work, deliver) -> None:
        self._archive, self._spool = archive, spool
        self.image = ct_series(1)[0]
        deliver([self.image])
        self.draft = self._draft()
        SqlFindings(engine).replace_report(self.draft.result, [self.draft])
        self.history = SqlReviews(engine)
        self.reviews = Reviews(archive, SqlFindings(engine), self.history)
        self.outside = OutsideReviews(archive, work.arrivals, SqlFindings(engine), self.history)

    def _draft(self) -> FindingRecord:
        region = Region("box", self.image.SOPInstanceUID, 1, (10.0, 10.0, 30.0, 30.0))
        place = {"study": self.image.StudyInstanceUID, "series": self.image.SeriesInstanceUID}
        measured = (Measurement(DIAMETER, 12.0, MM),)
        return finding("1.2.9", **place, result="2.25.77", region=region, measurements=measured)

    def box(self, left: float, top: float, right: float, bottom: float) -> Dataset:
        corners = [left, top, right, top, right, bottom, left, bottom, left, top]
        return scoord(self.image.SOPInstanceUID, corners)

    def take(self, *groups: Dataset, protocol: str = "stow", **changes):
        sr = report(self.draft.study, groups, **changes)
        with self._archive.delivery(Origin(protocol, "TEST")) as delivery:
            file = self._spool.new()
            file.write(encoded(sr))
            delivery.ingest(file)
        while self.outside.poll():
            pass
        return self.history.of_study(self.draft.study)


@pytest.fixture(autouse=True)
def _typed_labels():
    """The code for what was typed is longer than SH allows."""
    with config.disable_value_validation():
        yield


@pytest.fixture
def room(archive, spool, engine, work, deliver) -> Room:
    return Room(archive, spool, engine, work, deliver)


def test_finding_that_comes_back_as_it_was_is_accepted_by_its_observer(room):
    (review,) = room.take(group(room.box(10, 10, 30, 30), tracking=room.draft.tracking_uid))
    assert (review.finding, review.verdict) == (room.draft.tracking_uid, Verdict.ACCEPT)
    assert (review.reviewer.name, review.object is not None) == ("Reader^Ann", True)
    assert len(room.take()) == 1  # and once


def test_finding_is_known_by_its_place_and_corrected_where_something_differs(room):
    (review,) = room.take(group(room.box(12, 10, 30, 30), value=14.0, label="NODULE"))
    assert (review.finding, review.verdict) == (room.draft.tracking_uid, Verdict.CORRECT)
    assert review.correction.region.points == (12.0, 10.0, 30.0, 30.0)
    assert [each.value for each in review.correction.measurements] == [14.0]
    assert review.correction.code is None


def test_label_that_differs_corrects_what_is_tracked(room):
    (review,) = room.take(group(room.box(10, 10, 30, 30), tracking=room.draft.tracking_uid, label="Scar"))
    assert (review.verdict, review.correction.code.meaning) == (Verdict.CORRECT, "Scar")


@pytest.mark.parametrize(("kind", "points"), [("POINT", 1), ("CIRCLE", 24), ("ELLIPSE", 24)])
def test_what_no_model_found_is_the_persons_own(room, kind, points):
    graphic = {"POINT": [60, 60], "CIRCLE": [60, 60, 65, 60], "ELLIPSE": [50, 60, 70, 60, 60, 55, 60, 65]}
    place = scoord(room.image.SOPInstanceUID, graphic[kind], kind)
    (review,) = room.take(group(place, label="Nodule"))
    assert review.verdict is Verdict.MISSED
    own = room.reviews.of_study(room.draft.study).finding(review.finding).record
    assert (own.code.meaning, len(own.region.points), own.model) == ("Nodule", 2 * points, "")


@pytest.mark.parametrize("points", [[11, 11, 29, 29], [11, 11, 29, 29, 11, 29]], ids=["length", "angle"])
def test_line_over_a_finding_is_a_measurement_of_its_own(room, points):
    (review,) = room.take(group(scoord(room.image.SOPInstanceUID, points)))
    assert review.addition.region == Region("line", room.image.SOPInstanceUID, 1, tuple(map(float, points)))
    assert review.addition.image is None
    assert review.addition.measurements[0].value == 12.0


def test_who_is_not_named_is_the_sender(room):
    (review,) = room.take(group(room.box(10, 10, 30, 30)), person="unknown^unknown", protocol="dimse")
    assert review.reviewer.name == "TEST"


def test_what_devices_say_our_own_objects_and_nonsense_are_no_reviews(room):
    same = group(room.box(10, 10, 30, 30), tracking=room.draft.tracking_uid)
    assert room.take(same, person="", kind="121007") == ()
    assert room.take(same, protocol="review") == ()
    broken = group(room.box(10, 10, 30, 30))
    del broken.ContentSequence[-1].MeasuredValueSequence[0].NumericValue
    assert room.take(broken) == ()
    elsewhere = group(scoord("1.2.3.4.5", [60, 60], "POINT"))
    assert room.take(elsewhere) == ()
    assert len(room.take(same)) == 1
