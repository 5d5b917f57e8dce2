"""The other forms of rendered: media types, animation, annotation, colour, video, waveforms, parts."""

import io
import re
import uuid
import xml.etree.ElementTree as ET
from email.utils import parsedate_to_datetime

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.dicomweb.multipart_answers import parts
from tests.dicomweb.rendered_archive import web_in
from tests.storage.pixel_files import EXPLICIT, image, written

SMOOTH = np.add.outer(np.arange(48), np.arange(64)).astype("u1") * 2
COLOUR = np.stack([SMOOTH, SMOOTH[::-1], 255 - SMOOTH], -1)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with web_in(tmp_path_factory.mktemp("made")) as web:
        yield web


@pytest.fixture
def stored(web, tmp_path):
    def store(ds, transfer_syntax=EXPLICIT):
        ds.SOPInstanceUID = f"2.25.{uuid.uuid4().int}"
        return web.store(written(ds, tmp_path / f"{ds.SOPInstanceUID}.dcm", transfer_syntax))[0]

    return store


def shown(answer):
    assert answer.status_code == 200, answer.text
    media = answer.headers["content-type"]
    if media == "image/jxl":
        return imagecodecs.jpegxl_decode(answer.content)
    picture = Image.open(io.BytesIO(answer.content))
    return np.asarray(picture.convert("RGB" if media == "image/webp" else picture.mode.replace("P", "RGB")))


@pytest.mark.parametrize("media", ["jpeg", "png", "gif", "jp2", "jph", "jxl", "webp"])
@pytest.mark.parametrize("pixels", [SMOOTH, COLOUR], ids=["grey", "colour"])
def test_every_media_type_shows_the_picture(web, stored, media, pixels):
    instance = stored(image(pixels, WindowCenter=128, WindowWidth=256) if pixels.ndim == 2 else image(pixels))
    answer = web.get(instance, accept=f"image/{media}")
    assert answer.headers["content-type"] == f"image/{media}"
    found = shown(answer).astype(int)
    expected = pixels if found.ndim == pixels.ndim else np.stack([pixels] * 3, -1)
    assert np.abs(found - expected).mean() < 4
    assert parsedate_to_datetime(answer.headers["last-modified"]).tzinfo


def test_htj2k_comes_in_the_boxes_of_a_file(web, stored):
    content = web.get(stored(image(SMOOTH)), accept="image/jph").content
    assert content[4:12] == b"jP  \r\n\x87\n"
    assert content[20:24] == b"jph "


def frames(rate=None):
    ds = image(SMOOTH, NumberOfFrames=3, WindowCenter=128, WindowWidth=256)
    ds.PixelData = b"".join((SMOOTH // n).tobytes() for n in (1, 2, 4))
    if rate:
        ds.RecommendedDisplayFrameRate = rate
    return ds


def test_frames_become_an_animation_at_their_rate(web, stored):
    picture = Image.open(io.BytesIO(web.get(stored(frames(rate=20)), accept="image/gif").content))
    assert (picture.n_frames, picture.info["duration"], picture.info["loop"]) == (3, 50, 0)
    picture.seek(2)
    assert np.abs(np.asarray(picture.convert("L")).astype(int) - SMOOTH // 4).max() <= 1


def test_one_frame_of_several_is_a_still_gif(web, stored):
    answer = web.get(stored(frames()), "frames/2/rendered", accept="image/gif")
    assert Image.open(io.BytesIO(answer.content)).n_frames == 1


def test_all_frames_come_as_parts_where_multipart_is_asked_for(web, stored):
    found = parts(web.get(stored(frames()), accept='multipart/related; type="image/png"'))
    assert [kind for kind, _ in found] == ["image/png"] * 3
    assert imagecodecs.png_decode(found[2][1]).max() == SMOOTH.max() // 4


def test_a_study_comes_whole_in_parts(web, stored):
    note = report()
    for ds in (frames(), image(SMOOTH), note):
        ds.StudyInstanceUID = "2.25.77"
        stored(ds)
    url = "/dicom-web/studies/2.25.77/rendered"
    kinds = [kind for kind, _ in parts(web.client.get(url))]
    assert sorted(kinds) == ["image/jpeg"] * 4 + ["text/html"]
    pictures = parts(web.client.get(url, headers={"Accept": 'multipart/related; type="image/png"'}))
    assert [kind for kind, _ in pictures] == ["image/png"] * 4
    alone = web.client.get(url, headers={"Accept": "image/png"})
    assert alone.headers["content-type"] == "image/png"
    again = web.client.get(url, headers={"If-None-Match": web.client.get(url).headers["etag"]})
    assert again.status_code == 304
    refused = web.client.get(url, headers={"Accept": 'multipart/related; type="image/svg+xml"'})
    assert refused.status_code == 406


def report():
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "2.25.7"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.1", "2.25.6"
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "No finding."
    ds.ValueType, ds.ContentSequence = "CONTAINER", [item]
    return ds


def test_a_report_is_plain_text_too(web, stored):
    answer = web.get(stored(report()), accept="text/plain")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "- No finding." in answer.text


def test_annotations_are_burnt_into_the_corner_they_belong_to(web, stored):
    def of(**attributes):
        return image(np.full((200, 300), 60, "u1"), WindowCenter=128, WindowWidth=256, **attributes)

    named = stored(of(PatientName="Doe^Jane", PatientID="42", KVP=120))
    plain = shown(web.get(named, accept="image/png"))
    patient = shown(web.get(named, accept="image/png", annotation="patient")) != plain
    technique = shown(web.get(named, accept="image/png", annotation="technique")) != plain
    both = shown(web.get(named, accept="image/png", annotation="patient,technique")) != plain
    assert patient[:100].any()
    assert not patient[100:].any()
    assert technique[100:].any()
    assert not technique[:100].any()
    assert (both == patient | technique).all()
    assert web.get(named, annotation="address").status_code == 400


@pytest.mark.parametrize("name", ["srgb", "adobergb", "rommrgb", "displayp3"])
def test_colour_is_moved_into_the_profile_asked_for(web, stored, name):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    instance = stored(image(COLOUR, ICCProfile=srgb.tobytes() + b"\0" * (len(srgb.tobytes()) % 2)))
    answer = web.get(instance, accept="image/png", iccprofile=name)
    picture = Image.open(io.BytesIO(answer.content))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    back = np.asarray(ImageCms.profileToProfile(picture, profile, srgb)).astype(int)
    assert np.abs(back - COLOUR).mean() < 2
    assert (np.asarray(picture) == COLOUR).all() == (name == "srgb")


def test_the_profile_of_the_image_goes_along_where_asked_for(web, stored):
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    instance = stored(image(COLOUR, ICCProfile=own + b"\0" * (len(own) % 2)))
    for media in ("jpeg", "png", "webp"):
        with_it = web.get(instance, accept=f"image/{media}", iccprofile="yes").content
        without = web.get(instance, accept=f"image/{media}").content
        assert Image.open(io.BytesIO(with_it)).info["icc_profile"][: len(own)] == own
        assert "icc_profile" not in Image.open(io.BytesIO(without)).info
    assert web.get(instance, iccprofile="cmyk").status_code == 400


def test_a_broken_profile_is_the_reason(web, stored):
    answer = web.get(stored(image(COLOUR, ICCProfile=bytes(200))), iccprofile="adobergb")
    assert (answer.status_code, "ICC profile" in answer.json()["detail"]) == (406, True)


MP4 = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("stream", "syntax", "media"),
    [
        (MP4, "1.2.840.10008.1.2.4.102", "video/mp4"),
        (MP4, "1.2.840.10008.1.2.4.107", "video/mp4"),
        ((b"G" + bytes(187)) * 4, "1.2.840.10008.1.2.4.104", "video/mp2t"),
        (b"\0\0\1\xb3" + bytes(300), "1.2.840.10008.1.2.4.100", "video/mpeg"),
        (b"\0\0\0\1\x40" + bytes(299), "1.2.840.10008.1.2.4.108", "video/H265"),
    ],
)
def test_a_video_is_given_as_it_is_and_in_ranges(web, stored, stream, syntax, media):
    ds = image(np.zeros((8, 8, 3), "u1"), NumberOfFrames=25, PhotometricInterpretation="YBR_PARTIAL_420")
    half = len(stream) // 4 * 2
    ds.PixelData = encapsulate([stream[:half], stream[half:]], has_bot=False)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    instance = stored(ds, syntax)
    answer = web.get(instance)
    assert (answer.headers["content-type"], answer.content) == (media, stream)
    part = web.client.get(str(answer.request.url), headers={"Range": f"bytes={half - 3}-{half + 3}"})
    assert (part.status_code, part.content) == (206, stream[half - 3 : half + 4])
    assert web.get(instance, accept="image/png").status_code == 406
    assert web.get(instance, "frames/1/rendered").status_code == 406


@pytest.mark.parametrize("media", ["text/xml", "model/stl", "model/obj"])
def test_other_documents_come_as_what_they_are_to_be_saved(web, stored, media):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.2", "2.25.9"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.1", "2.25.8"
    ds.MIMETypeOfEncapsulatedDocument, ds.EncapsulatedDocument = media, b"<a/>"
    answer = web.get(stored(ds))
    assert (answer.headers["content-type"].partition(";")[0], answer.content) == (media, b"<a/>")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.fixture(scope="module")
def ecg(web, test_data):
    return web.store(*(test_data / "dicom/ecg").iterdir())[0]


def test_an_electrocardiogram_is_a_page_of_leads(web, ecg):
    answer = web.get(ecg, annotation="patient")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    page = ET.fromstring(answer.content)
    texts = [each.text for each in page.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("Lead II") == 2
    assert {"Lead aVR", "Lead V6", "25 mm/s   10 mm/mV", "ID 642341"} <= set(texts)
    assert "ID 642341" not in web.get(ecg).text


def test_an_electrocardiogram_is_a_picture_and_a_pdf_too(web, ecg):
    picture = shown(web.get(ecg, accept="image/png", viewport="600,600"))
    assert picture.shape == (424, 600, 3)
    assert (picture == 0).all(-1).sum() > 1000
    assert max(shown(web.get(ecg, "thumbnail", accept="image/jpeg")).shape) == 256
    pdf = web.get(ecg, accept="application/pdf").content
    assert pdf.startswith(b"%PDF-1.4")
    start = int(re.search(rb"startxref\n(\d+)", pdf)[1])
    assert pdf[start : start + 4] == b"xref"
    offsets = [int(each) for each in re.findall(rb"(\d{10}) 00000 n", pdf)]
    assert [pdf[at : at + 7] for at in offsets] == [b"%d 0 obj" % n for n in range(1, 6)]


def waveform(**changes):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.9.6.1", "2.25.9"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.1", "2.25.8"
    group = Dataset()
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples, group.SamplingFrequency = 1, 100, 10
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    channel = Dataset()
    channel.ChannelLabel = "Resp <chest>"
    group.ChannelDefinitionSequence = [channel]
    group.WaveformData = np.arange(100, dtype="<i2").tobytes()
    for keyword, value in changes.items():
        setattr(group, keyword, value)
    ds.WaveformSequence = [group]
    return ds


def test_any_other_waveform_is_rows_of_channels(web, stored):
    text = web.get(stored(waveform())).text
    assert "Resp &lt;chest&gt;  0 to 99" in text
    assert ">10 s<" in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"NumberOfWaveformSamples": 101}, "200 bytes, 202 are needed"),
        ({"WaveformSampleInterpretation": "MB"}, "MB"),
        ({"SamplingFrequency": 0}, "0 Hz"),
        ({"NumberOfWaveformChannels": 65535}, "65535 channels"),
        ({"NumberOfWaveformSamples": 4294967295}, "too long"),
    ],
)
def test_a_waveform_that_cannot_be_drawn_says_why(web, stored, changes, reason):
    answer = web.get(stored(waveform(**changes)))
    assert (answer.status_code, reason in answer.json()["detail"]) == (406, True), answer.json()


def test_head_has_the_headers_of_get(web, stored):
    url = str(web.get(stored(image(SMOOTH)), accept="image/png").request.url)
    accept = {"Accept": "image/png"}
    head, whole = web.client.head(url, headers=accept), web.client.get(url, headers=accept)
    assert head.content == b""
    assert [head.headers[name] for name in ("etag", "content-type")] == [
        whole.headers[name] for name in ("etag", "content-type")
    ]
