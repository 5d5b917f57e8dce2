"""What the documents say is what the code does."""

import re
from pathlib import Path

from pydantic import BaseModel

from isocenter.settings import Settings

ROOT = Path(__file__).parents[1]


def keys(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        inner = [
            t for t in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(t, type)
        ]
        section = next((t for t in inner if issubclass(t, BaseModel)), None)
        tables = {"peers", "users", "destinations", "routes", "prefetch", "availability", "rules"}
        if section and name not in tables:
            found |= keys(section, f"{prefix}{name}.")
        else:
            found[prefix + name] = field.default
    return found


def test_configuration_lists_every_setting_with_its_default():
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([a-z0-9_.]+)` \| ([^|]*)\|", text, re.MULTILINE))
    assert set(documented) == set(keys(Settings))
    for key, default in keys(Settings).items():
        if isinstance(default, bool | int | float) or (isinstance(default, str) and default):
            shown = str(default).lower() if isinstance(default, bool) else str(default)
            assert documented[key].strip() == f"`{shown}`", key


def test_links_between_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)}: {target}"


def test_the_tests_that_documents_name_exist():
    for document in (ROOT / "docs").rglob("*.md"):
        for path in re.findall(
            r"`((?:tests|benchmarks)/[a-z_/0-9]+\.py)", document.read_text(encoding="utf-8")
        ):
            assert (ROOT / path).exists(), f"{document.relative_to(ROOT)}: {path}"


def test_the_glossary_is_in_order():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| ([a-z ]+) \|", text, re.MULTILINE)[1:]
    assert words == sorted(words)
