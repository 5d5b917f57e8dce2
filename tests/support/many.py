"""Enough studies to search long in."""

from sqlalchemy import Engine, insert

from storage.sql.engine import writing
from storage.sql.tables import studies


def add_studies(engine: Engine, count: int) -> None:
    """Rows alone, straight in the index; no name has "qq" in it."""
    rows = [{"study_uid": f"1.2.{n}", "study_date": "20240101", "pn_norm": "adam ada"} for n in range(count)]
    with writing(engine) as connection:
        connection.execute(insert(studies), rows)
