"""A version in shadow runs on what arrives, and nobody sees what it found but the comparison."""

import pytest

from inference.comparison import Ended, Pair, compare
from inference.findings import Code, Measurement
from inference.findings_sql import SqlFindings
from inference.governance import GovernedModels, Standing
from inference.governance_sql import SqlDecisions
from inference.overview_sql import SqlOverview
from inference.pipeline import Pipeline
from inference.quality_sql import SqlQuality
from inference.shadow_sql import SqlShadow
from inference.triggers import Triggers
from inference.workitems import Outcome, Priority, State
from models.catalog import Catalog
from models.errors import CardError
from tests.inference.analyses import ct_series
from tests.inference.packages import dark_package
from tests.inference.test_workitems import finding

MEAN = Code("R-00317", "SRT", "Mean")
UNIT = Code("mm", "UCUM", "mm")


@pytest.fixture
def decisions(engine, clock) -> SqlDecisions:
    return SqlDecisions(engine, clock)


@pytest.fixture
def governed(tmp_path, decisions) -> GovernedModels:
    for version in ("1.0.0", "1.1.0"):
        dark_package(tmp_path / "models" / version, version=version)
    decisions.record("dark", Standing.ENABLED, by="Ann", version="1.0.0")
    return GovernedModels(Catalog([tmp_path / "models"]), decisions)


@pytest.fixture
def shadow(governed, decisions) -> GovernedModels:
    decisions.record("dark", Standing.SHADOW, by="Ann", version="1.1.0")
    return governed


def names(cards) -> list[str]:
    return [f"{card.name} {card.version}" for card in cards]


def triggered(archive, work, models, clock) -> list[str]:
    return Triggers(archive, work, models, shadows=models.shadows, clock=clock).poll()


def test_shadow_ends_by_promotion_and_by_decision_and_does_not_come_back_by_itself(shadow, decisions):
    assert names(shadow.cards()) == ["dark 1.0.0"]
    assert names(shadow.shadows()) == ["dark 1.1.0"]
    decisions.record("dark", Standing.ENABLED, by="Ann", version="1.1.0", reason="promoted")
    assert names(shadow.cards()) == ["dark 1.1.0"]
    assert shadow.before("dark").version == "1.0.0"
    decisions.record("dark", Standing.ENABLED, by="Ann", version="1.0.0", reason="rolled back")
    assert names(shadow.shadows()) == []

    decisions.record("dark", Standing.SHADOW, by="Ben", version="1.1.0")
    assert shadow.in_shadow("dark").version == "1.1.0"
    decisions.record("dark", Standing.DISABLED, by="Ben")
    assert names(shadow.shadows()) == []
    decisions.record("dark", Standing.ENABLED, by="Ben", version="1.0.0")
    decisions.record("dark", Standing.SHADOW, by="Ben")
    with pytest.raises(CardError, match="no version of 'dark' runs in shadow"):
        shadow.in_shadow("dark")


def test_nothing_to_go_back_to_is_said(governed):
    with pytest.raises(CardError, match="no other version of 'dark' was decided on before"):
        governed.before("dark")


def test_results_in_shadow_are_seen_by_the_comparison_alone(
    archive, spool, *, engine, work, runtime, shadow, clock, deliver
):
    deliver(ct_series(4))
    before = triggered(archive, work, shadow, clock)
    items = [work.get(uid) for uid in before]
    assert [(item.model.version, item.shadow, item.priority) for item in items] == [
        ("1.0.0", False, Priority.MEDIUM),
        ("1.1.0", True, Priority.LOW),
    ]
    pipeline = Pipeline(archive, spool, work, shadow, runtime, shadows=shadow.shadows, clock=clock)
    # The version in shadow comes later, and still supersedes nothing.
    current, other = (pipeline.run(uid) for uid in before)
    assert (current.outcome, other.outcome, other.results) == (Outcome.RESULTS, Outcome.RESULTS, ())

    study = current.study
    found = SqlFindings(engine).of_study(study)
    assert {record.version for record in found} == {"1.0.0"}
    assert {event.sop for event in archive.events(None, 100) if event.origin.protocol == "inference"} <= {
        *current.results,
        None,
    }
    assert SqlQuality(engine).totals() == ()
    assert len(SqlOverview(engine).of_studies([study])[study].labels) == 0
    (pair,) = SqlShadow(engine).pairs("dark", "1.0.0", "1.1.0")
    assert (pair.study, pair.comparable) == (study, True)
    compared = compare("dark", "1.0.0", "1.1.0", [pair])
    (difference,) = compared.measurements
    assert (compared.agreement, difference.inputs, difference.mean) == (1.0, 1, 0.0)
    assert compared.seconds["shadow"].keys() >= {"model", "prepare", "queue"}
    assert SqlShadow(engine).pairs("dark", "1.0.0", "1.1.0", since=clock.now.replace(year=2999)) == []


def test_work_of_a_version_that_left_the_shadow_ends_and_the_version_runs_for_all_to_see(
    archive, spool, *, work, runtime, shadow, decisions, clock, deliver
):
    deliver(ct_series(4))
    _, in_shadow = triggered(archive, work, shadow, clock)
    decisions.record("dark", Standing.ENABLED, by="Ann", version="1.1.0", reason="promoted")
    pipeline = Pipeline(archive, spool, work, shadow, runtime, shadows=shadow.shadows, clock=clock)
    item = pipeline.run(in_shadow)
    assert (item.state, item.outcome) == (State.CANCELED, Outcome.SUPERSEDED)
    assert item.reason == "dark 1.1.0 does not run in shadow any more"
    first = next(each for each in work.list() if not each.shadow)
    pipeline.run(first.uid)  # of 1.0.0: gives way to the version that runs now
    new = next(each for each in work.list(states=[State.SCHEDULED]))
    assert (new.model.version, new.shadow) == ("1.1.0", False)
    assert pipeline.run(new.uid).results


def ended(*presences: str, value: float | None = None) -> Ended:
    measured = () if value is None else (Measurement(MEAN, value, UNIT),)
    records = [
        finding("1.2", tracking_uid=f"2.25.{number}", presence=presence, measurements=measured)
        for number, presence in enumerate(presences, 1)
    ]
    return Ended(Outcome.RESULTS, tuple(records), {"model": float(len(presences))})


def test_agreement_and_differences_are_counted():
    pairs = [
        Pair("1.2", "1.2.1", ended("present", value=4.0), ended("present", value=5.0)),
        Pair("1.3", "1.3.1", ended("present", value=4.0), ended("absent", value=1.0)),
        Pair("1.4", "1.4.1", ended("absent"), ended("absent")),
        Pair("1.5", "1.5.1", Ended(Outcome.REFUSED), ended("present", "present")),
        Pair("1.6", "1.6.1", ended("present"), Ended(None)),
    ]
    compared = compare("m", "1", "2", pairs)
    assert (compared.inputs, compared.compared, compared.differing) == (5, 3, 1)
    assert compared.agreement == pytest.approx(2 / 3)
    (code,) = compared.presence
    assert (code.both, code.only_current, code.only_shadow, code.neither) == (1, 1, 0, 1)
    (difference,) = compared.measurements
    assert (difference.mean, difference.mean_absolute, difference.largest) == (-1.0, 2.0, -3.0)
    said = compared.as_json()
    assert said["outcomes"] == {
        "current": {"results": 4, "refused": 1},
        "shadow": {"results": 4, "waiting": 1},
    }
    assert said["examples"] == [{"study": "1.3", "series": "1.3.1"}]
    assert said["findings"] == {"current": 2, "shadow": 1}
    assert compare("m", "1", "2", []).agreement is None
