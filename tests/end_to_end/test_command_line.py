"""A user's mistake is one line that names it."""

import json
from pathlib import Path

import pytest

from tests.support.system import isocenter

NOWHERE = "postgresql+psycopg://x@127.0.0.1:1/x"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"ISOCENTER_DATA": str(tmp_path / "data")}


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["serve", "--config", "/nowhere.toml"], {}, "/nowhere.toml: cannot be read"),
        (["serve"], {"ISOCENTER_NODE__PROT": "1"}, "ISOCENTER_NODE__PROT: node.prot: unknown key"),
        (["serve", "--host", "0.0.0.0"], {}, "insecure = true"),
        (["scheduler"], {}, "memory://"),
        (
            ["migrate"],
            {"ISOCENTER_INDEX__URL": "postgresql+psycopg://x@127.0.0.1:1/x"},
            "the index does not answer",
        ),
        (["send", "."], {}, "no DICM at byte 128"),
        (["import", "/nowhere"], {}, "/nowhere"),
        (["nonsense"], {}, "No such command 'nonsense'"),
        (["models", "check", "."], {}, "card.toml"),
    ],
)
def test_a_mistake_is_named_without_a_traceback(environment, tmp_path, arguments, variables, said):
    (tmp_path / "one.dcm").write_bytes(b"")
    done = isocenter(*arguments, environment=environment | variables, cwd=tmp_path)
    assert done.returncode in {1, 2}
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_help_lists_every_command(environment):
    text = isocenter("--help", environment=environment).stdout
    for command in (
        "serve",
        "node",
        "web",
        "worker",
        "scheduler",
        "send",
        "import",
        "reindex",
        "models",
        "doctor",
        "migrate",
    ):
        assert f"  {command} " in text


def test_doctor_finds_a_fresh_installation_well_and_names_what_is_not(environment):
    well = isocenter("doctor", "--json", environment=environment)
    assert [row["ok"] for row in json.loads(well.stdout)] == [True] * 5, well.stdout
    ill = isocenter(
        "doctor", "--json", environment=environment | {"ISOCENTER_BROKER__URL": "redis://127.0.0.1:1/0"}
    )
    assert [row["check"] for row in json.loads(ill.stdout) if not row["ok"]] == ["broker"]
    assert ill.returncode == 1


def test_models_come_with_the_product(environment):
    listed = json.loads(isocenter("models", "list", "--json", environment=environment).stdout)
    assert {model["name"] for model in listed["models"]} == {"ct-lung-density", "ct-nodule-candidates"}
    assert listed["broken"] == []
