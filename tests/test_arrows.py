"""Packages import only along the arrows of docs/architecture.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARROWS = {
    "storage": set(),
    "models": set(),
    "sample_studies": set(),
    "inference": {"models", "storage"},
    "dicom_node": {"storage"},
    "dicomweb": {"storage"},
    "webui": {"storage", "inference"},
    "isocenter": {"storage", "models", "sample_studies", "inference", "dicom_node", "dicomweb", "webui"},
}
FOREIGN = {  # libraries that stop at one package or file: foreign errors and types are not seen elsewhere
    "sqlalchemy": {"storage/sql", "inference", "isocenter"},
    "minio": {"storage/blobs"},
    "pynetdicom": {"dicom_node"},
    "fastapi": {"dicomweb", "webui", "isocenter"},
    "celery": {"isocenter"},
    "onnxruntime": {"models", "isocenter"},
    "imagecodecs": {"storage/pixels", "dicomweb"},
    "highdicom": {"inference"},
}


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }
    return {name.partition(".")[0] for name in names}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", ARROWS)
def test_package_imports_only_along_the_arrows(package):
    assert modules(package)
    for path in modules(package):
        ours = imported(path) & set(ARROWS)
        assert ours <= ARROWS[package] | {package}, path.relative_to(ROOT)


@pytest.mark.parametrize("library", FOREIGN)
def test_library_stays_where_its_adapter_is(library):
    for package in ARROWS:
        for path in modules(package):
            if library in imported(path):
                where = path.relative_to(ROOT).as_posix()
                assert any(where.startswith(f"{home}/") for home in FOREIGN[library]), where


def test_storage_sql_is_the_only_sql_of_storage():
    for path in modules("storage"):
        if "sqlalchemy" in imported(path):
            assert path.is_relative_to(ROOT / "storage" / "sql"), path
