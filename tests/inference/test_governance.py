"""Decisions about models are in force at once, everywhere, and none is forgotten."""

import pytest

from inference.governance import GovernedModels, ModelStopped, Standing
from inference.governance_sql import SqlDecisions
from inference.pipeline import Pipeline
from inference.triggers import Triggers
from inference.workitems import Outcome
from models.catalog import Catalog
from models.errors import CardError
from tests.inference.analyses import ct_series
from tests.inference.packages import dark_package


@pytest.fixture
def decisions(engine, clock) -> SqlDecisions:
    return SqlDecisions(engine, clock)


@pytest.fixture
def governed(tmp_path, decisions) -> GovernedModels:
    for version in ("1.0.0", "1.1.0"):
        dark_package(tmp_path / "models" / version, version=version)
    return GovernedModels(Catalog([tmp_path / "models"]), decisions)


def running(models: GovernedModels) -> list[str]:
    return [f"{card.name} {card.version}" for card in models.cards()]


def test_model_that_nobody_decided_on_runs_in_its_latest_version(governed):
    assert running(governed) == ["dark 1.1.0"]
    assert governed.get("dark").version == "1.1.0"


def test_version_decided_on_runs_and_the_way_back_is_a_decision_too(governed, decisions, engine):
    decisions.record("dark", Standing.ENABLED, by="Ann", version="1.0.0", reason="1.1.0 misses too much")
    assert running(governed) == ["dark 1.0.0"]
    SqlDecisions(engine).record("dark", Standing.ENABLED, by="Ben", version="1.1.0")
    assert running(governed) == ["dark 1.1.0"]
    assert [(each.by, each.version) for each in decisions.history("dark")] == [
        ("Ben", "1.1.0"),
        ("Ann", "1.0.0"),
    ]


@pytest.mark.parametrize("standing", [Standing.DISABLED, Standing.PAUSED])
def test_stopped_model_says_since_when_by_whom_and_why(governed, decisions, standing):
    decisions.record("dark", standing, by="Ann", reason="wrong scanner")
    assert running(governed) == []
    with pytest.raises(ModelStopped, match=rf"dark is {standing} since 2\d\d\d-.* UTC by Ann: wrong scanner"):
        governed.get("dark")


def test_settings_switch_a_model_off_whatever_was_decided(governed, decisions):
    decisions.record("dark", Standing.ENABLED, by="Ann")
    models = GovernedModels(governed.catalog, decisions, disabled=["dark"])
    assert running(models) == []
    with pytest.raises(ModelStopped, match="switched off by the settings"):
        models.get("dark")


def test_version_that_is_gone_does_not_run_in_another(governed, decisions):
    decisions.record("dark", Standing.ENABLED, by="Ann", version="0.9.0")
    assert running(governed) == []
    with pytest.raises(CardError, match=r"no model is called 'dark 0\.9\.0'"):
        governed.get("dark")


def test_work_of_a_model_stopped_meanwhile_is_withdrawn(
    archive, spool, *, work, runtime, governed, decisions, clock, deliver
):
    deliver(ct_series(4))
    (uid,) = Triggers(archive, work, governed, clock=clock).poll()
    decisions.record("dark", Standing.DISABLED, by="Ann", reason="recalled")
    item = Pipeline(archive, spool, work, governed, runtime, clock=clock).run(uid)
    assert item.outcome is Outcome.WITHDRAWN
    assert "by Ann: recalled" in item.reason
