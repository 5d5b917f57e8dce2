"""The catalogue shows what can be used, and says why the rest cannot."""

import shutil

import pytest

from models.catalog import Catalog
from models.errors import CardError
from tests.models.packages import package


def test_packages_of_all_folders_are_listed_by_name(tmp_path):
    package(tmp_path / "a" / "two", name="two")
    package(tmp_path / "b" / "one", name="one")
    catalog = Catalog([tmp_path / "a", tmp_path / "b"])
    assert [card.name for card in catalog.cards()] == ["one", "two"]
    assert catalog.get("two").folder == tmp_path / "a" / "two"
    assert catalog.broken() == []


def test_folder_that_is_a_package_itself(tmp_path):
    package(tmp_path / "small")
    assert [card.name for card in Catalog([tmp_path / "small"]).cards()] == ["small"]


def test_one_broken_package_does_not_hide_the_others(tmp_path):
    package(tmp_path / "good", name="good")
    package(tmp_path / "tampered", name="tampered")
    with (tmp_path / "tampered" / "model.onnx").open("ab") as file:
        file.write(b"x")
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "card.toml").write_text("schema = ")
    catalog = Catalog([tmp_path])
    assert [card.name for card in catalog.cards()] == ["good"]
    reasons = {broken.folder.name: broken.reason for broken in catalog.broken()}
    assert "the card pins" in reasons["tampered"]
    assert "not TOML" in reasons["unreadable"]


def test_broken_package_is_asked_for_by_name(tmp_path):
    package(tmp_path / "small")
    (tmp_path / "small" / "model.onnx").unlink()
    with pytest.raises(CardError, match="no such file"):
        Catalog([tmp_path]).get("small")


def test_unknown_name(tmp_path):
    with pytest.raises(CardError, match="no model is called 'absent'"):
        Catalog([tmp_path]).get("absent")


def test_second_package_of_the_same_name_and_version_is_broken(tmp_path):
    package(tmp_path / "a", name="same")
    package(tmp_path / "b", name="same")
    catalog = Catalog([tmp_path])
    assert [card.folder.name for card in catalog.cards()] == ["a"]
    assert "same 1.0.0 is taken by" in catalog.broken()[0].reason


def test_packages_that_come_change_and_go_are_noticed(tmp_path):
    catalog = Catalog([tmp_path])
    assert catalog.cards() == []
    folder = package(tmp_path / "small")
    assert len(catalog.cards()) == 1
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"x")
    assert catalog.cards() == []
    assert "the card pins" in catalog.broken()[0].reason
    package(tmp_path / "small")
    assert len(catalog.cards()) == 1
    shutil.rmtree(folder)
    assert catalog.cards() == []


def test_unchanged_package_is_not_read_again(tmp_path, monkeypatch):
    package(tmp_path / "small")
    catalog = Catalog([tmp_path])
    catalog.cards()
    monkeypatch.setattr("models.catalog.check_model", lambda _: pytest.fail("checked again"))
    assert len(catalog.cards()) == 1


def test_latest_version_of_a_model_is_the_one_with_the_highest_number(tmp_path):
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        package(tmp_path / "small" / version, version=version)
    catalog = Catalog([tmp_path])
    assert [card.version for card in catalog.versions()] == ["1.2.0", "1.9.0", "1.10.0"]
    assert [card.version for card in catalog.cards()] == ["1.10.0"]
    assert catalog.get("small").version == "1.10.0"
    assert catalog.get("small", "1.2.0").version == "1.2.0"
    with pytest.raises(CardError, match=r"no model is called 'small 3'"):
        catalog.get("small", "3")
