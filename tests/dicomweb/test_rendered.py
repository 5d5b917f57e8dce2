"""Rendered and thumbnail over HTTP, from a real archive filled with real files."""

import re
import uuid

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from dicomweb import rendered
from tests.dicomweb.rendered_archive import web_in
from tests.storage.pixel_files import EXPLICIT, image, written

RAMP = np.arange(4096, dtype="u2").reshape(64, 64)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with web_in(tmp_path_factory.mktemp("made")) as web:
        yield web


@pytest.fixture(scope="module")
def real(test_data, tmp_path_factory):
    with web_in(tmp_path_factory.mktemp("real")) as web:
        web.store(*sorted(each for each in (test_data / "dicom").rglob("*") if each.is_file()))
        yield web


def stored(web, tmp_path, ds, transfer_syntax=EXPLICIT):
    ds.SOPInstanceUID = f"2.25.{uuid.uuid4().int}"
    return web.store(written(ds, tmp_path / f"{ds.SOPInstanceUID}.dcm", transfer_syntax))[0]


def ramp(**attributes):
    return image(RAMP, BitsStored=12, HighBit=11, WindowCenter=2048, WindowWidth=4096, **attributes)


def test_every_image_has_a_picture_and_what_is_none_says_why(real):
    pictures = 0
    for path, instance in real.stored.items():
        answer = real.get(instance)
        if instance.number_of_frames:
            assert answer.status_code == 200, (path, answer.text)
            shown = imagecodecs.jpeg8_decode(answer.content)
            header = next(real.archive.headers([instance]))
            rows, columns = (
                int(re.search(rb'"%s":\{"vr":"US","Value":\[(\d+)' % tag, header)[1])
                for tag in (b"00280010", b"00280011")
            )
            assert shown.shape[:2] == (rows, columns), path
            pictures += 1
        elif answer.status_code == 200:
            assert answer.headers["content-type"] in {"text/html; charset=utf-8", "image/svg+xml"}
        else:
            assert answer.status_code == 406
            assert "has no rendered form" in answer.json()["detail"]
    assert pictures > 180


def test_every_study_series_and_instance_has_a_thumbnail(real):
    for study, series in {
        (each.key.study, each.key.series) for each in real.stored.values() if each.number_of_frames
    }:
        for url in (f"/studies/{study}/thumbnail", f"/studies/{study}/series/{series}/thumbnail"):
            answer = real.client.get(f"/dicom-web{url}")
            assert answer.status_code == 200, answer.text
            assert max(imagecodecs.jpeg8_decode(answer.content).shape[:2]) == 256


def test_the_picture_of_a_series_is_its_middle_one(real, test_data):
    middle = real.stored[test_data / "dicom/ct-series/ge-head-28/15.dcm"]
    series = f"/dicom-web/studies/{middle.key.study}/series/{middle.key.series}"
    answer = real.client.get(f"{series}/rendered", headers={"Accept": "image/jpeg"})
    assert answer.content == real.get(middle).content


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/avif, image/png;q=0.5, image/jpeg;q=0.4", "image/png"),
    ],
)
def test_the_client_chooses_the_media_type(web, tmp_path, accept, media):
    instance = stored(web, tmp_path, ramp())
    assert web.get(instance, accept=accept).headers["content-type"] == media


def test_a_media_type_that_is_not_there_is_refused_with_those_that_are(web, tmp_path):
    answer = web.get(stored(web, tmp_path, ramp()), accept="text/plain")
    assert answer.status_code == 406
    assert "image/jpeg, image/png" in answer.json()["detail"]


def test_the_accept_parameter_comes_before_the_header(web, tmp_path):
    instance = stored(web, tmp_path, ramp())
    url = f"/dicom-web/studies/2.25.1/series/2.25.2/instances/{instance.key.sop}/rendered"
    answer = web.client.get(url, params={"accept": "image/png"}, headers={"Accept": "*/*"})
    assert answer.headers["content-type"] == "image/png"


def png(answer):
    assert answer.status_code == 200, answer.text
    return imagecodecs.png_decode(answer.content)


def test_png_holds_the_very_levels(web, tmp_path):
    instance = stored(web, tmp_path, ramp())
    shown = png(web.get(instance, accept="image/png"))
    assert (shown == (RAMP / 4095 * 255).astype(np.float32).astype("u1")).mean() > 0.99


@pytest.mark.parametrize(
    ("window", "low", "high"),
    [("2048,100", 1997, 2099), ("2048,100,linear", 1997, 2099), ("2048,100,linear-exact", 1997, 2099)],
)
def test_a_window_shows_its_range(web, tmp_path, window, low, high):
    shown = png(web.get(stored(web, tmp_path, ramp()), accept="image/png", window=window)).ravel()
    assert shown[: low + 1].max() == 0
    assert shown[high:].min() == 255


def test_a_sigmoid_window_is_soft_at_its_ends(web, tmp_path):
    shown = png(
        web.get(stored(web, tmp_path, ramp()), accept="image/png", window="2048,1000,SIGMOID")
    ).ravel()
    assert shown[2048] == 127
    assert 0 < shown[1500] < 40


def test_a_viewport_keeps_proportions(web, tmp_path):
    instance = stored(web, tmp_path, image(np.zeros((40, 80), "u1")))
    assert png(web.get(instance, accept="image/png", viewport="200,200")).shape == (100, 200)
    assert png(web.get(instance, accept="image/png", viewport="20,200")).shape == (10, 20)


def test_pixels_that_are_not_square_are_shown_so_in_a_viewport(web, tmp_path):
    instance = stored(web, tmp_path, image(np.zeros((50, 50), "u1"), PixelSpacing=[2, 1]))
    assert png(web.get(instance, accept="image/png", viewport="100,100")).shape == (100, 50)
    assert png(web.get(instance, accept="image/png")).shape == (50, 50)


def test_a_region_is_cut_out_and_may_be_flipped(web, tmp_path):
    pixels = np.arange(256, dtype="u1").reshape(16, 16)
    instance = stored(web, tmp_path, image(pixels))
    cut = png(web.get(instance, accept="image/png", viewport="4,4,2,3,4,4"))
    assert (cut == pixels[3:7, 2:6]).all()
    flipped = png(web.get(instance, accept="image/png", viewport="4,4,2,3,-4,-4"))
    assert (flipped == pixels[3:7, 2:6][::-1, ::-1]).all()
    rest = png(web.get(instance, accept="image/png", viewport="16,16,4,4"))
    assert rest.shape == (16, 16)


def test_shrinking_averages_and_skips_nothing(web, tmp_path):
    pixels = np.zeros((512, 512), "u1")
    pixels[::2] = 255
    shown = png(web.get(stored(web, tmp_path, image(pixels)), accept="image/png", viewport="60,60"))
    assert shown.shape == (60, 60)
    assert shown.min() >= 120
    assert shown.max() <= 136


def test_quality_changes_the_size(web, tmp_path):
    instance = stored(web, tmp_path, image(np.random.default_rng(1).integers(0, 256, (64, 64), dtype="u1")))
    sizes = [len(web.get(instance, quality=quality).content) for quality in (10, 50, 100)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", "40"),
        ("window", "40,400,loud"),
        ("window", "40,0"),
        ("window", "a,b"),
        ("window", "nan,400"),
        ("window", "40,inf"),
        ("window", "1,2,linear,4"),
        ("viewport", "100"),
        ("viewport", "0,100"),
        ("viewport", "100,1e9"),
        ("viewport", "99999999,100"),
        ("viewport", "10,10,600,0,10,10"),
        ("viewport", "10,10,-5,0,10,10"),
        ("viewport", "10,10,nan,0,10,10"),
        ("viewport", "1,2,3,4,5,6,7"),
        ("quality", "0"),
        ("quality", "101"),
        ("quality", "good"),
    ],
)
def test_a_malformed_parameter_is_named(web, tmp_path, name, value):
    answer = web.get(stored(web, tmp_path, ramp()), **{name: value})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert name in answer.json()["detail"]


def multi_frame():
    frames = np.stack([np.full((8, 8), level, "u1") for level in (0, 100, 200)])
    ds = image(frames[0], NumberOfFrames=3, WindowCenter=128, WindowWidth=256)
    ds.PixelData = frames.tobytes()
    return ds


def test_each_frame_has_its_picture(web, tmp_path):
    instance = stored(web, tmp_path, multi_frame())
    levels = [int(png(web.get(instance, f"frames/{n}/rendered", "image/png"))[0, 0]) for n in (1, 2, 3)]
    assert levels == [0, 100, 200]
    assert web.get(instance, "thumbnail").content == web.get(instance, "frames/2/thumbnail").content


def test_several_frames_come_as_multipart(web, tmp_path):
    answer = web.get(stored(web, tmp_path, multi_frame()), "frames/1,3/rendered")
    assert re.match(r'multipart/related; type="image/jpeg"; boundary=', answer.headers["content-type"])
    assert answer.content.count(b"Content-Type: image/jpeg\r\n\r\n\xff\xd8") == 2


@pytest.mark.parametrize(
    ("frames", "status"), [("4", 404), ("0", 404), ("1,9", 404), ("a", 400), ("1-3", 400), ("²", 400)]
)
def test_frames_that_are_not_there(web, tmp_path, frames, status):
    answer = web.get(stored(web, tmp_path, multi_frame()), f"frames/{frames}/rendered")
    assert answer.status_code == status
    assert "frames" in answer.json()["detail"]


def test_what_is_not_stored_is_not_found(web):
    for url in (
        "studies/1.2/rendered",
        "studies/1.2/series/3/thumbnail",
        "studies/1/series/2/instances/3/rendered",
    ):
        assert web.client.get(f"/dicom-web/{url}").status_code == 404


def test_a_picture_the_client_has_is_not_sent_again(web, tmp_path):
    instance = stored(web, tmp_path, ramp())
    first = web.get(instance)
    url = str(first.request.url)
    again = web.client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = web.client.get(url, params={"window": "1,2"}, headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    assert "private" in first.headers["cache-control"]


def test_a_picture_that_was_asked_for_before_is_not_made_again(web, tmp_path, monkeypatch):
    made = []
    decode = rendered.decode_frame
    monkeypatch.setattr(rendered, "decode_frame", lambda *given: made.append(given) or decode(*given))
    instance = stored(web, tmp_path, ramp())
    pictures = [web.get(instance).content for _ in range(2)]
    assert (pictures[0] == pictures[1], len(made)) == (True, 1)
    assert web.get(instance, window="1,2,linear").content != pictures[0]
    assert web.get(instance, accept="image/png").content != pictures[0]
    assert len(made) == 3


def test_a_broken_frame_answers_with_the_reason(web, tmp_path):
    ds = image(np.zeros((8, 8), "u1"))
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    instance = stored(web, tmp_path, ds, "1.2.840.10008.1.2.4.50")
    answer = web.get(instance)
    assert answer.status_code == 406
    assert "JPEG stream" in answer.json()["detail"]


def test_pixel_data_shorter_than_a_frame_are_named(web, tmp_path):
    answer = web.get(stored(web, tmp_path, image(np.zeros((8, 8), "u1"), Rows=9)))
    assert answer.status_code == 406
    assert "shorter than one frame" in answer.json()["detail"]


def test_hostile_files_never_fail_the_server(test_data, web):
    web.store(*sorted(each for each in (test_data / "bad").rglob("*") if each.is_file()))
    for path, instance in web.stored.items():
        for what in ("rendered", "thumbnail"):
            assert web.get(instance, what).status_code in {200, 406}, path


def document(content, media_type):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.1", "2.25.9"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.1", "2.25.8"
    ds.MIMETypeOfEncapsulatedDocument = media_type
    ds.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    ds.EncapsulatedDocumentLength = len(content)
    return ds


@pytest.mark.parametrize("size", [101, 100_001])
def test_a_pdf_is_given_as_it_is_to_a_browser(web, tmp_path, size):
    content = b"%PDF-1.7" + bytes(size - 8)
    instance = stored(web, tmp_path, document(content, "application/pdf"))
    answer = web.get(instance, accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content == content
    assert web.get(instance, accept="image/jpeg").status_code == 406


def test_a_document_that_could_carry_scripts_is_not_given(web, tmp_path):
    instance = stored(web, tmp_path, document(b"<script>alert(1)</script>", "text/html"))
    assert web.get(instance).status_code == 406


def test_a_structured_report_is_a_page(real, test_data):
    page = real.get(real.stored[test_data / "dicom/sr/sr_document.dcm"])
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.text.count("<li>") == page.text.count("</li>") > 10
    assert "<h1>Imaging Measurement Report</h1>" in page.text


def test_texts_of_a_report_are_escaped(web, tmp_path):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "2.25.7"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.1", "2.25.6"
    ds.PatientName = "<b>Name^First"
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "<script>alert('&')</script>"
    ds.ValueType, ds.ContentSequence = "CONTAINER", [item]
    text = web.get(stored(web, tmp_path, ds)).text
    assert "<script>" not in text
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in text
    assert "&lt;b&gt;Name First" in text


def test_the_openapi_page_lists_what_there_is(web):
    paths = web.client.get("/openapi.json").json()["paths"]
    rendered = paths["/dicom-web/studies/{study}/series/{series}/instances/{sop}/rendered"]["get"]
    assert {each["name"] for each in rendered["parameters"]} == {
        "study", "series", "sop", "accept", "charset", "window", "viewport", "quality", "annotation",
        "iccprofile",
    }  # fmt: skip
    assert {"200", "304", "400", "404", "406"} <= set(rendered["responses"])
    assert {"image/jpeg", "image/png", "application/pdf", "text/html"} <= set(
        rendered["responses"]["200"]["content"]
    )
    assert sum(path.endswith(("/rendered", "/thumbnail")) for path in paths) == 8
