"""Installing and serving the OHIF viewer, with a small package of its shape."""

import base64
import hashlib
import io
import re
import tarfile

import pytest
from click.testing import CliRunner

from isocenter.cli import isocenter
from isocenter.viewer import ViewerNotInstalled, check, install

SCRIPT = 'window.PUBLIC_URL="/"'
PAGE = f'<head><script>{SCRIPT}</script><script defer src="/app.bundle.0123456789abcdef.js"></script></head>'
APP = '__webpack_require__.p = "/";' + "x" * 3000
FILES = {
    "index.html": PAGE,
    "app.bundle.0123456789abcdef.js": APP,
    "app.bundle.0123456789abcdef.js.map": "{}",
    "app.css": "a{background:url(/assets/a.svg)}",
    "0123456789abcdef.wasm": "",
}


def package(path, files=FILES, root="package/dist/"):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(root + name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def installed(services, tmp_path):
    install(package(tmp_path / "ohif.tgz"), services.settings.viewer_dir)


def test_without_it_the_address_says_how_to_get_it(web):
    answer = web.get("/viewer/viewer")
    assert (answer.status_code, "isocenter viewer install" in answer.text) == (404, True)
    assert web.get("/api/viewers").json() == {"ohif": None}


def test_its_pages_find_their_files(web, installed):
    for path in ("/viewer/", "/viewer/viewer?StudyInstanceUIDs=1.2", "/viewer/local"):
        assert 'src="/viewer/app.bundle.0123456789abcdef.js"' in web.get(path).text, path
    assert web.get("/viewer/app.bundle.0123456789abcdef.js").text.startswith(
        '__webpack_require__.p = "/viewer/"'
    )
    assert "url(/viewer/assets/a.svg)" in web.get("/viewer/app.css").text
    assert web.get("/viewer/missing.js").status_code == 404
    assert web.get("/viewer/app.bundle.0123456789abcdef.js.map").status_code == 404
    assert web.get("/api/viewers").json() == {"ohif": "/viewer/viewer?StudyInstanceUIDs="}


def test_its_inline_scripts_are_named_in_the_policy_and_no_others(web, installed):
    policy = web.get("/viewer/").headers["Content-Security-Policy"]
    script = re.search(r"<script>(.*?)</script>", web.get("/viewer/").text)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "'unsafe-inline'" not in re.search(r"script-src[^;]*", policy)[0]
    assert "unsafe" not in web.get("/docs").headers["Content-Security-Policy"].replace("wasm-unsafe-eval", "")


def test_it_is_told_of_this_server_under_whatever_name(web, installed):
    answer = web.get("/viewer/app-config.js")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "qidoRoot: location.origin + '/dicom-web'" in answer.text


def test_hashed_files_are_kept_for_good_and_come_compressed(web, installed):
    answer = web.get("/viewer/app.bundle.0123456789abcdef.js", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    assert web.get("/viewer/").headers["Cache-Control"] == "no-cache"


def test_a_later_version_takes_its_place(services, tmp_path, installed):
    later = FILES | {"index.html": PAGE + "later"}
    folder = tmp_path / "built"
    folder.mkdir()
    for name, text in later.items():
        (folder / name).write_text(text)
    target = services.settings.viewer_dir
    install(folder, target)
    assert "later" in (target / "index.html").read_text()
    assert [each.name for each in target.parent.glob(".viewer-*")] == []


@pytest.mark.parametrize(
    ("files", "root", "reason"),
    [
        ({"index.html": PAGE}, "package/dist/", "not OHIF"),
        (FILES, "other/", "not a package"),
        (FILES | {"../../../x": "1"}, "package/dist/", "not a package"),
    ],
)
def test_what_is_no_viewer_leaves_the_old_one(tmp_path, files, root, reason):
    viewer = tmp_path / "viewer"
    install(package(tmp_path / "ohif.tgz"), viewer)
    with pytest.raises(ViewerNotInstalled, match=reason):
        install(package(tmp_path / "bad.tgz", files, root), viewer)
    assert (viewer / "index.html").is_file()


def test_other_bytes_under_the_known_version_are_refused(tmp_path):
    with pytest.raises(ViewerNotInstalled, match="other bytes"):
        check(package(tmp_path / "ohif.tgz"))


def test_the_command_installs_a_file(tmp_path):
    source = package(tmp_path / "ohif.tgz")
    environment = {"ISOCENTER_DATA": str(tmp_path / "data")}
    done = CliRunner().invoke(isocenter, ["viewer", "install", "--from", str(source)], env=environment)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "data" / "viewer" / "index.html").is_file()
    source.write_bytes(b"no package")
    done = CliRunner().invoke(isocenter, ["viewer", "install", "--from", str(source)], env=environment)
    assert (done.exit_code, "not a package" in done.output) == (1, True)
