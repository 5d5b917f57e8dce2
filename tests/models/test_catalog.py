"""The catalogue shows what can be used, and says why the rest cannot."""

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


def test_second_package_of_the_same_name_is_broken(tmp_path):
    package(tmp_path / "a", name="same")
    package(tmp_path / "b", name="same")
    catalog = Catalog([tmp_path])
    assert [card.folder.name for card in catalog.cards()] == ["a"]
    assert "'same' is taken by" in catalog.broken()[0].reason


def test_new_package_is_seen_after_reload(tmp_path):
    catalog = Catalog([tmp_path])
    assert catalog.cards() == []
    package(tmp_path / "small")
    assert catalog.cards() == []
    catalog.reload()
    assert len(catalog.cards()) == 1
