"""Rows of many studies, made by the database itself from lists of names, descriptions and days."""

import random
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from storage.names import joined, name_groups, normalised
from storage.sql.engine import reading, writing

ROOT = "1.2.826.0.1.3680043.10.1"
KANJI = "山田太郎鈴木花子佐藤一高橋次伊渡辺健中村小林加吉川本松井"
_SYLLABLES = (
    *("an", "be", "chi", "do", "el", "far", "gu", "ha", "is", "jo", "ka", "lu", "mi", "no"),
    *("or", "pe", "qui", "ra", "so", "tu", "ul", "va", "we", "xi", "yo", "za"),
)
_COMMON = ("Smith", "Schmitt", "Smithers")
_WORDINGS = 100_000
_DAYS = 3650
_TODAY = date(2026, 6, 30)


def word(rng: random.Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))).capitalize()


def day(number: int) -> str:
    return f"{_TODAY - timedelta(days=number % _DAYS):%Y%m%d}"


def uid(number: int) -> str:
    return f"{ROOT}.{1_000_000_000 + number}"


def _wording(number: int, rng: random.Random) -> dict[str, Any]:
    family = rng.choice(_COMMON) if number % 33 == 0 else word(rng)
    name = f"{family}^{word(rng)}"
    if number % 10 == 0:
        name += f"={''.join(rng.choices(KANJI, k=2))}^{''.join(rng.choices(KANJI, k=2))}"
    groups = name_groups(name)
    described = f"{rng.choice(('CT', 'MR', 'XR'))} {word(rng)} {word(rng)}"
    return {
        "id": number,
        "name": name,
        "pn": joined(groups),
        "ideo": groups[1] or None,
        "described": described,
        "descr": normalised(described),
        "day": day(number),
    }


# What follows one number to the next looks random: a multiplicative generator modulo 2^31 - 1.
_STUDIES = f"""
INSERT INTO studies (id, study_uid, study_date, study_time, accession, description, descr_norm,
                     patient_name, pn_norm, pn_ideo, patient_id)
WITH RECURSIVE numbers(n) AS (
    SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
SELECT n, '{ROOT}.' || (1000000000 + n), days.day, CAST(100000 + n * 48271 % 100000 AS TEXT),
       'A' || (1000000000 + n), described.described, described.descr,
       named.name, named.pn, named.ideo, 'P' || (1000000000 + n % (:count / 3 + 1))
FROM numbers
JOIN wordings named ON named.id = n * 69621 % 2147483647 % {_WORDINGS}
JOIN wordings described ON described.id = n * 39373 % 2147483647 % {_WORDINGS}
JOIN wordings days ON days.id = n * 48271 % 2147483647 % {_DAYS}
ORDER BY n
"""
_SERIES = f"""
INSERT INTO series (id, study_id, series_uid, modality, number, instances)
SELECT 3 * studies.id + k, studies.id, '{ROOT}.' || (1000000000 + studies.id) || '.' || k,
       CASE WHEN k = 2 THEN 'SR' WHEN studies.id % 5000 = 0 THEN 'XC'
            WHEN studies.id * 16807 % 2147483647 % 10 < 4 THEN 'CT'
            WHEN studies.id * 16807 % 2147483647 % 10 < 7 THEN 'MR'
            WHEN studies.id * 16807 % 2147483647 % 10 < 9 THEN 'DX' ELSE 'US' END,
       k + 1, 1 + k * 100
FROM studies CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2) AS three
ORDER BY studies.id, k
"""
_MODALITIES = """
INSERT INTO study_modality (modality, study_date, study_id)
SELECT DISTINCT series.modality, studies.study_date, studies.id
FROM series JOIN studies ON studies.id = series.study_id ORDER BY 1, 2, 3
"""
_INSTANCES = """
INSERT INTO instances (id, series_id, sop_uid, sop_class, transfer_syntax, size, digest, dataset_offset,
                       version, number_of_frames, stored_at, number)
SELECT id, id, series_uid || '.1', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 526000, :digest, 400,
       1, 1, CURRENT_TIMESTAMP, 1
FROM series WHERE number = 1 ORDER BY id
"""


def fill(engine: Engine, count: int) -> None:
    """`count` studies of three series, one instance each; indexes are made when all rows are there."""
    rng = random.Random(1)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            # No look at the other table for each foreign key.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        connection.execute(
            text(
                "CREATE TEMPORARY TABLE wordings (id INTEGER PRIMARY KEY, name TEXT, pn TEXT, ideo TEXT,"
                " described TEXT, descr TEXT, day TEXT)"
            )
        )
        connection.execute(
            text("INSERT INTO wordings VALUES (:id, :name, :pn, :ideo, :described, :descr, :day)"),
            [_wording(number, rng) for number in range(_WORDINGS)],
        )
        restore = _without_indexes(connection)
        connection.execute(text(_STUDIES), {"count": count})
        connection.execute(text(_SERIES))
        connection.execute(text(_MODALITIES))
        connection.execute(text(_INSTANCES), {"digest": bytes(32)})
        for statement in restore:
            connection.execute(text(statement))
        connection.execute(text("DROP TABLE wordings"))
    with reading(engine) as connection:
        connection.execute(text("ANALYZE" if engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))


_TABLES = "('studies', 'series', 'instances', 'study_modality')"


def _without_indexes(connection: Connection) -> list[str]:
    """Drop what only slows the filling down; the statements that make it again."""
    if connection.dialect.name == "sqlite":
        found = (
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
            f" AND type IN ('index', 'trigger') AND tbl_name IN {_TABLES}"
        )
        made_again = [
            f"INSERT INTO studies_{name}(studies_{name}) VALUES ('rebuild')"
            for name in ("pn_norm", "descr_norm")
        ]
    else:
        found = (
            "SELECT 'index', indexname, indexdef FROM pg_indexes"
            f" WHERE indexdef NOT LIKE '%UNIQUE%' AND tablename IN {_TABLES}"
        )
        made_again = []
    rows = connection.execute(text(found)).all()
    for kind, name, _ in rows:
        connection.execute(text(f"DROP {kind} {name}"))
    return [*(sql.replace(":", r"\:") for _, _, sql in rows), *made_again]
