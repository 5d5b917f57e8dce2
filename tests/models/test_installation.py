"""A package is installed as a whole or not at all, whatever the archive file holds."""

import io
import shutil
import tarfile
import zipfile

import pytest

from models.catalog import Catalog
from models.errors import CardError, ModelError
from models.installation import add_package, remove_package
from tests.models.packages import package


def test_folder_zip_and_tar_are_installed_alike(tmp_path):
    source = package(tmp_path / "source" / "small")
    zipped = shutil.make_archive(str(tmp_path / "small"), "zip", tmp_path / "source")
    tarred = shutil.make_archive(str(tmp_path / "small"), "gztar", source)
    for number, each in enumerate((source, zipped, tarred)):
        folder = tmp_path / f"installed{number}"
        card = add_package(tmp_path / each, folder)
        assert card.folder == folder / "small" / "1.0.0"
        assert sorted(path.name for path in card.folder.iterdir()) == ["card.toml", "model.onnx"]
        assert [path.name for path in folder.iterdir()] == ["small"]


def test_installed_again_changes_nothing_and_another_card_needs_another_version(tmp_path):
    installed = tmp_path / "installed"
    add_package(package(tmp_path / "a"), installed)
    add_package(tmp_path / "a", installed)
    with (tmp_path / "a" / "card.toml").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(CardError, match=r"small 1\.0\.0 is there already with another card"):
        add_package(tmp_path / "a", installed)
    add_package(package(tmp_path / "b", version="1.1.0"), installed)
    assert [card.version for card in Catalog([installed]).versions()] == ["1.0.0", "1.1.0"]


def test_package_that_is_not_fit_leaves_nothing(tmp_path):
    source = package(tmp_path / "small")
    with (source / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="the card pins"):
        add_package(source, tmp_path / "installed")
    assert list((tmp_path / "installed").iterdir()) == []


def test_file_that_is_no_package(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CardError, match=r"neither a folder nor a \.zip or \.tar"):
        add_package(tmp_path / "notes.txt", tmp_path / "installed")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CardError, match=r"no folders with a card\.toml"):
        add_package(tmp_path / "empty", tmp_path / "installed")


def test_zip_with_a_path_outside_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("card.toml", "")
        file.writestr("../outside", "")
    with pytest.raises(CardError, match="outside' lies outside the package"):
        add_package(tmp_path / "evil.zip", tmp_path / "installed")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_tar_with_anything_but_files_is_refused(tmp_path, kind):
    member = tarfile.TarInfo("model.onnx")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "evil.tar", "w") as file:
        file.addfile(member)
    with pytest.raises(CardError, match=r"model\.onnx is neither a file nor a folder"):
        add_package(tmp_path / "evil.tar", tmp_path / "installed")


def test_link_in_a_folder_is_refused(tmp_path):
    source = package(tmp_path / "small")
    (source / "README.md").symlink_to("/etc/hostname")
    with pytest.raises(CardError, match=r"README\.md: is a symbolic link"):
        add_package(source, tmp_path / "installed")


def test_archive_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("models.installation.MAX_FILES", 3)
    with tarfile.open(tmp_path / "many.tar", "w") as file:
        for number in range(4):
            file.addfile(tarfile.TarInfo(f"{number}"), io.BytesIO())
    with pytest.raises(CardError, match="more than 3 files"):
        add_package(tmp_path / "many.tar", tmp_path / "installed")


def test_broken_archive_file(tmp_path):
    package(tmp_path / "source" / "small")
    path = tmp_path / "cut.tar.gz"
    path.write_bytes(_tar_gz(tmp_path / "source")[:-200])
    with pytest.raises(CardError, match="cannot be unpacked"):
        add_package(path, tmp_path / "installed")


def _tar_gz(folder):
    return (folder.parent / shutil.make_archive(str(folder.parent / "whole"), "gztar", folder)).read_bytes()


def test_only_what_was_added_is_removed(tmp_path):
    installed = tmp_path / "installed"
    card = add_package(package(tmp_path / "small"), installed)
    remove_package(card, installed)
    assert list(installed.iterdir()) == []
    other = Catalog([tmp_path / "small"]).get("small")
    with pytest.raises(CardError, match="was not added"):
        remove_package(other, installed)
    assert other.folder.is_dir()
