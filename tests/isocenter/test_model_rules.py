"""[[inference.rules]]: when and how urgently models run on what arrives."""

from datetime import datetime
from pathlib import Path

import pytest

from inference.workitems import Priority
from isocenter.model_rules import ModelRules
from isocenter.services import open_services
from isocenter.settings import SettingsError, load_settings
from storage.instances import Origin
from tests.inference.analyses import ct_series, part10
from tests.inference.packages import dark_package
from tests.support.system import isocenter

NOON = datetime(2026, 5, 4, 12, 30).astimezone()
RULES = """
[[inference.rules]]
model = "dark"
source = ["CT_ER*"]
match = { StudyDescription = ["*trauma*", "chest*"] }
priority = "high"

[[inference.rules]]
model = "dark"
source = ["CT*"]
hours = ["19:00-06:30"]
priority = "low"

[[inference.rules]]
model = "*"
run = false
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "isocenter.toml"
    path.write_text(f'data = "{tmp_path / "data"}"\n[inference]\nsettle_seconds = 0\n{RULES}')
    return path


@pytest.fixture
def rules(config: Path) -> ModelRules:
    return ModelRules(load_settings(config, {}).inference.rules)


def described(description: str) -> dict[str, object]:
    return {"00081030": {"vr": "LO", "Value": [description]}}


def test_the_first_rule_that_fits_counts(rules):
    urgent = rules("dark", "ct_er1", described("Polytrauma CT"), NOON)
    assert (urgent.run, urgent.priority, urgent.due_at) == (True, Priority.HIGH, NOON)
    assert rules("dark", "CT_ER1", described("Knee"), NOON).priority is Priority.LOW
    assert not rules("dark", "MR1", described("Polytrauma CT"), NOON).run
    assert not rules("another", "CT_ER1", described("Polytrauma CT"), NOON).run


@pytest.mark.parametrize(
    ("hour", "begins"), [(12, 19), (18, 19), (19, 19), (23, 23), (3, 3), (7, 19)], ids=str
)
def test_work_waits_for_its_hours(rules, hour, begins):
    now = NOON.replace(hour=hour, minute=15)
    expected = now if begins == hour else now.replace(hour=begins, minute=0)
    assert rules("dark", "CT2", {}, now).due_at == expected


def test_without_rules_the_card_decides():
    ruling = ModelRules(())("dark", "CT1", {}, NOON)
    assert (ruling.run, ruling.priority, ruling.due_at) == (True, Priority.MEDIUM, NOON)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('model = "Dark Model"', "model"),
        ('model = "dark"\nhours = ["25:00-26:00"]', "HH:MM-HH:MM"),
        ('model = "dark"\nmatch = { NoSuchThing = "x" }', "NoSuchThing"),
        ('model = "dark"\npriority = "stat"', "priority"),
        ('model = "dark"\nwhenever = true', "whenever"),
    ],
    ids=["name", "hours", "keyword", "priority", "unknown key"],
)
def test_a_wrong_rule_is_named(tmp_path, text, named):
    config = tmp_path / "isocenter.toml"
    config.write_text(f"[[inference.rules]]\n{text}\n")
    with pytest.raises(SettingsError, match=named):
        load_settings(config, {})


@pytest.mark.parametrize(
    ("sender", "priority"), [("CT_ER2", Priority.HIGH), ("CT2", Priority.LOW), ("MR1", None)], ids=str
)
def test_what_arrives_becomes_work_as_the_rules_say(config, sender, priority):
    settings = load_settings(config, {})
    dark_package(settings.models_dir)
    with open_services(settings) as services:
        with services.archive.delivery(Origin("dimse", sender)) as delivery:
            for ds in ct_series(4):
                file = services.spool.new()
                file.write(part10(ds))
                delivery.ingest(file)
        services.triggers().poll()
        assert [item.priority for item in services.work.list()] == ([priority] if priority else [])


def test_a_model_is_shown_with_its_rules_and_unknown_names_are_found(config, tmp_path):
    dark_package(tmp_path / "data" / "models")
    shown = isocenter("models", "show", "dark", "--config", str(config), environment={})
    assert "rule from CT*: low priority" in shown.stdout, shown
    assert "19:00-06:30 only" in shown.stdout
    assert "rule anything: does not run" in shown.stdout
    config.write_text(config.read_text().replace('model = "dark"', 'model = "drak"'))
    done = isocenter("doctor", "--config", str(config), environment={})
    assert done.returncode == 1
    assert "no model is called drak" in done.stdout
