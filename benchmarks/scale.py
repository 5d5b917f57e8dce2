"""Milliseconds a search of studies takes in an index of 10,000, 100,000 and 1,000,000 of them.

The rows are made straight in the index, three series to a study. The time is that of the whole question, from
the query to the text of its 25 answers, without HTTP; each repetition asks for another value. CPU time is
that of the asking process: with SQLite it is all there is.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import peers  # noqa: F401 - makes the checkout the path
from sqlalchemy import Connection, Engine, event, func, insert, select, text

from isocenter import migrations
from storage.names import joined, name_groups, normalised
from storage.search import BY_KEYWORD, Exact, Match, Query, Range, Wildcard
from storage.sql.engine import connect, reading, writing
from storage.sql.index import SqlIndex
from storage.sql.tables import series, studies, study_modality
from tests.support.servers import postgres

Row = dict[str, Any]
_BATCH = 20_000
_ROOT = "1.2.826.0.1.3680043.10.1"
_SYLLABLES = (
    *("an", "be", "chi", "do", "el", "far", "gu", "ha", "is", "jo", "ka", "lu", "mi", "no"),
    *("or", "pe", "qui", "ra", "so", "tu", "ul", "va", "we", "xi", "yo", "za"),
)
_COMMON = ("Smith", "Schmitt", "Smithers")
_KANJI = "山田太郎鈴木花子佐藤一高橋次伊渡辺健中村小林加吉川本松井"
_TODAY = date(2026, 6, 30)


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))).capitalize()


def _study(number: int, rng: random.Random) -> Row:
    family = rng.choice(_COMMON) if rng.random() < 0.03 else _word(rng)  # noqa: PLR2004 - three in a hundred
    name = f"{family}^{_word(rng)}"
    if number % 10 == 0:
        name += f"={''.join(rng.choices(_KANJI, k=2))}^{''.join(rng.choices(_KANJI, k=2))}"
    groups = name_groups(name)
    description = f"{rng.choice(('CT', 'MR', 'XR'))} {_word(rng)} {_word(rng)}"
    return {
        "id": number,
        "study_uid": f"{_ROOT}.{number}",
        "study_date": f"{_TODAY - timedelta(days=rng.randrange(3650)):%Y%m%d}",
        "study_time": f"{rng.randrange(24):02}{rng.randrange(60):02}00",
        "accession": f"A{number:09}",
        "description": description,
        "descr_norm": normalised(description),
        "patient_name": name,
        "pn_norm": joined(groups),
        "pn_ideo": groups[1] or None,
        "pn_phon": None,
        "patient_id": f"P{number % max(number // 3, 1):08}",
    }


def _series(study: Row, rng: random.Random) -> list[Row]:
    modality = "XC" if study["id"] % 5000 == 0 else rng.choices(("CT", "MR", "DX", "US"), (4, 3, 2, 1))[0]
    return [
        {
            "id": 3 * study["id"] + number,
            "study_id": study["id"],
            "series_uid": f"{study['study_uid']}.{number}",
            "modality": modality if number < 2 else "SR",  # noqa: PLR2004 - the last of three
            "number": number + 1,
            "instances": 1 + number * 100,
        }
        for number in range(3)
    ]


def fill(engine: Engine, count: int) -> None:
    """`count` studies; indexes are made when all rows are there."""
    rng = random.Random(1)
    with writing(engine) as connection:
        restore = _without_indexes(connection)
        for start in range(1, count + 1, _BATCH):
            some = [_study(number, rng) for number in range(start, min(start + _BATCH, count + 1))]
            below = [row for study in some for row in _series(study, rng)]
            connection.execute(insert(studies), some)
            connection.execute(insert(series), below)
            dates = {study["id"]: study["study_date"] for study in some}
            pairs = {(row["modality"], dates[row["study_id"]], row["study_id"]) for row in below}
            keys = ("modality", "study_date", "study_id")
            connection.execute(
                insert(study_modality), [dict(zip(keys, p, strict=True)) for p in sorted(pairs)]
            )
        for statement in restore:
            connection.execute(text(statement))
    with reading(engine) as connection:
        connection.execute(text("ANALYZE"))


def _without_indexes(connection: Connection) -> list[str]:
    """Drop what only slows the filling down; the statements that make it again."""
    if connection.dialect.name == "sqlite":
        found = "SELECT type, name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'studies'"
        indexes = [
            f"INSERT INTO studies_{name}(studies_{name}) VALUES ('rebuild')"
            for name in ("pn_norm", "descr_norm")
        ]
    else:
        found = "SELECT 'index', indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '% USING gin %'"
        indexes = []
    rows = connection.execute(text(found)).all()
    for kind, name, _ in rows:
        connection.execute(text(f"DROP {kind} {name}"))
    return [*(sql.replace(":", r"\:") for _, _, sql in rows), *indexes]


def _by(keyword: str, value: Any) -> Query:
    return Query("study", (Match(BY_KEYWORD[keyword].tag, value),), limit=25)


Ask = Callable[[random.Random, int], Query]
QUESTIONS: dict[str, Ask] = {
    "newest": lambda _, __: Query("study", limit=25),
    "behind a study half-way": lambda r, n: Query(
        "study", limit=25, behind=f"1.2.826.0.1.3680043.10.1.{r.randint(1, n)}"
    ),
    "offset 5,000": lambda r, _: Query("study", limit=25, offset=5000 + r.randrange(100)),
    "PatientID": lambda r, n: _by("PatientID", Exact(f"P{r.randrange(max(n // 3, 1)):08}")),
    "AccessionNumber": lambda r, n: _by("AccessionNumber", Exact(f"A{r.randint(1, n):09}")),
    "a day": lambda r, _: _by("StudyDate", Exact(_day(r))),
    "a month": lambda r, _: _by("StudyDate", Range(_day(r)[:6] + "01", _day(r)[:6] + "31")),
    "modality, common": lambda _, __: _by("ModalitiesInStudy", Exact("CT")),
    "modality, rare": lambda _, __: _by("ModalitiesInStudy", Exact("XC")),
    "modality, absent": lambda _, __: _by("ModalitiesInStudy", Exact("ZZ")),
    "name prefix, common": lambda _, __: _by("PatientName", Wildcard("SMITH*")),
    "name prefix, seldom": lambda r, _: _by("PatientName", Wildcard(f"{_word(r)[:5]}*")),
    "name prefix, absent": lambda _, __: _by("PatientName", Wildcard("qqzx*")),
    "name infix, common": lambda _, __: _by("PatientName", Wildcard("*mit*")),
    "name infix, seldom": lambda r, _: _by("PatientName", Wildcard(f"*{_word(r)[1:6]}*")),
    "name infix, absent": lambda _, __: _by("PatientName", Wildcard("*qqzx*")),
    "name infix of 2, absent": lambda _, __: _by("PatientName", Wildcard("*qq*")),
    "ideographic prefix": lambda r, _: _by("PatientName", Wildcard(f"{r.choice(_KANJI)}{r.choice(_KANJI)}*")),
    "description infix": lambda r, _: _by("StudyDescription", Wildcard(f"*{_word(r)[:5]}*")),
}


def _day(rng: random.Random) -> str:
    return f"{_TODAY - timedelta(days=rng.randrange(3650)):%Y%m%d}"


def ask(engine: Engine, question: Ask, count: int, times: int) -> tuple[str, str]:
    """Median and 99th percentile, the median of our own CPU time in ms, and what the database does."""
    index, rng = SqlIndex(engine), random.Random(2)
    queries = [question(rng, count) for _ in range(times)]
    index.search(queries[0])
    took, used = [], []
    for query in queries:
        start, cpu = time.perf_counter(), time.process_time()
        index.search(query)
        took.append(1000 * (time.perf_counter() - start))
        used.append(1000 * (time.process_time() - cpu))
    late = sorted(took)[min(times * 99 // 100, times - 1)]
    cell = f"{statistics.median(took):.2f} / {late:.1f} / {statistics.median(used):.2f}"
    return cell, _plan(engine, index, queries[-1])


def _plan(engine: Engine, index: SqlIndex, query: Query) -> str:
    """The first step of the plan of the statement that finds the studies."""
    said: list[tuple[str, Any]] = []

    def listen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        said.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", listen)
    index.search(query)
    event.remove(engine, "before_cursor_execute", listen)
    statement, parameters = next(pair for pair in said if "AS studies_study_uid" in pair[0])
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with reading(engine) as connection:
        steps = [str(row[-1]).strip() for row in connection.exec_driver_sql(explain + statement, parameters)]
    scans = [step.removeprefix("->").strip() for step in steps if "SCAN" in step.upper() or "SEARCH" in step]
    return scans[0].partition("  (")[0]


def engines(kind: str, stack: ExitStack, sizes: Sequence[int]) -> Iterator[tuple[int, Engine]]:
    """A filled index of each size."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
    server = stack.enter_context(postgres(folder / "postgres")) if kind == "postgresql" else ""
    for size in sizes:
        if server:
            with connect(server).connect() as admin:
                admin.execution_options(isolation_level="AUTOCOMMIT").execute(
                    text(f"CREATE DATABASE of_{size}")
                )
        url = (
            server.removesuffix("postgres") + f"of_{size}" if server else f"sqlite:///{folder}/{size}.sqlite"
        )
        engine = connect(url)
        stack.callback(engine.dispose)
        migrations.upgrade(engine)
        start = time.perf_counter()
        fill(engine, size)
        with reading(engine) as connection:
            made = connection.execute(select(func.count()).select_from(studies)).scalar_one()
        print(f"<!-- {kind}: {made} studies made in {time.perf_counter() - start:.0f} s -->", flush=True)
        yield size, engine


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--times", type=int, default=100)
    arguments.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    sizes, times = ([200], 3) if options.quick else (options.sizes, options.times)
    for kind in options.databases:
        with ExitStack() as stack:
            found: dict[str, list[str]] = {name: [] for name in QUESTIONS}
            plans: dict[str, str] = {}
            for size, engine in engines(kind, stack, sizes):
                for name, question in QUESTIONS.items():
                    cell, plans[name] = ask(engine, question, size, times)
                    found[name].append(cell)
            print(
                f"\n| {kind}: p50 / p99 / CPU p50, ms | "
                + " | ".join(f"{size:,}" for size in sizes)
                + " | plan |"
            )
            print("|---" * (len(sizes) + 2) + "|")
            for name, cells in found.items():
                print(f"| {name} | " + " | ".join(cells) + f" | {plans[name]} |", flush=True)


if __name__ == "__main__":
    main()
