"""A model that is carried out elsewhere."""

from pathlib import Path

CARD = """
schema = 1
runner = "external"
name = "{name}"
version = "3.1"
title = "Haemorrhage, by another engine"
manufacturer = "Another"
intended_use = "Tests"
not_for = ["patients"]
[applies_to]
scope = "series"
modality = ["CT"]
"""


def external_package(folder: Path, name: str = "other-engine") -> Path:
    """A package of a card alone."""
    (folder / name).mkdir(parents=True)
    (folder / name / "card.toml").write_text(CARD.format(name=name), encoding="utf-8")
    return folder
