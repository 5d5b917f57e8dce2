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
from dataclasses import replace
from pathlib import Path
from typing import Any

import peers  # noqa: F401 - makes the checkout the path
from scale_rows import KANJI, day, fill, uid, word
from sqlalchemy import Engine, event, func, select, text

from isocenter import migrations
from storage.search import BY_KEYWORD, Exact, Match, Query, Range, Wildcard
from storage.sql.engine import connect, reading
from storage.sql.index import SqlIndex
from storage.sql.tables import studies
from tests.support.servers import postgres


def _by(keyword: str, value: Any) -> Query:
    return Query("study", (Match(BY_KEYWORD[keyword].tag, value),), limit=25)


_PAGES = 10
"""Read one after the other; the smallest index has as many that match."""

Ask = Callable[[random.Random, int], Query]
QUESTIONS: dict[str, Ask] = {
    "newest": lambda _, __: Query("study", limit=25),
    "behind a study half-way": lambda r, n: Query("study", limit=25, behind=uid(r.randint(1, n))),
    "offset 1,000, at once": lambda _, __: Query("study", limit=25, offset=1_000),
    "offset 10,000, at once": lambda _, __: Query("study", limit=25, offset=10_000),
    "offset of half, at once": lambda _, n: Query("study", limit=25, offset=n // 2),
    "page after page, from half on": lambda _, n: Query("study", limit=25, offset=n // 2),
    "page after page, a modality": lambda _, n: replace(_by("ModalitiesInStudy", Exact("CT")), offset=n // 5),
    "page after page, name infix": lambda _, n: replace(
        _by("PatientName", Wildcard("*mit*")), offset=n // 100
    ),
    "PatientID": lambda r, n: _by("PatientID", Exact(f"P{1_000_000_000 + r.randrange(n // 3 + 1)}")),
    "AccessionNumber": lambda r, n: _by("AccessionNumber", Exact(f"A{1_000_000_000 + r.randint(1, n)}")),
    "a day": lambda r, _: _by("StudyDate", Exact(_day(r))),
    "a month": lambda r, _: _by("StudyDate", _span(_day(r)[:6])),
    "modality, common": lambda _, __: _by("ModalitiesInStudy", Exact("CT")),
    "modality, rare": lambda _, __: _by("ModalitiesInStudy", Exact("XC")),
    "modality, absent": lambda _, __: _by("ModalitiesInStudy", Exact("ZZ")),
    "name prefix, common": lambda _, __: _by("PatientName", Wildcard("SMITH*")),
    "name prefix, seldom": lambda r, _: _by("PatientName", Wildcard(f"{word(r)[:5]}*")),
    "name prefix, absent": lambda _, __: _by("PatientName", Wildcard("qqzx*")),
    "name infix, common": lambda _, __: _by("PatientName", Wildcard("*mit*")),
    "name infix, seldom": lambda r, _: _by("PatientName", Wildcard(f"*{word(r)[1:6]}*")),
    "name infix, absent": lambda _, __: _by("PatientName", Wildcard("*qqzx*")),
    "name infix of 2, absent": lambda _, __: _by("PatientName", Wildcard("*qq*")),
    "ideographic prefix": lambda r, _: _by("PatientName", Wildcard(f"{r.choice(KANJI)}{r.choice(KANJI)}*")),
    "a year": lambda r, _: _by("StudyDate", _span(_day(r)[:4])),
    "description infix, common": lambda _, __: _by("StudyDescription", Wildcard("*chi*")),
    "description infix, absent": lambda _, __: _by("StudyDescription", Wildcard("*qqzx*")),
    "description infix, seldom": lambda r, _: _by("StudyDescription", Wildcard(f"*{word(r)[:5]}*")),
}


def _day(rng: random.Random) -> str:
    return day(rng.randrange(10_000))


def _span(start: str) -> Range:
    """All days that start so."""
    return Range(start + "0101"[len(start) - 4 :], start + "1231"[len(start) - 4 :])


def ask(engine: Engine, name: str, count: int, times: int) -> tuple[str, str]:
    """Least and median ms, the median of our own CPU time, and what the database does."""
    rng, index = random.Random(2), SqlIndex(engine)
    queries = [QUESTIONS[name](rng, count) for _ in range(times)]
    if name.startswith("page after page"):
        queries = [
            replace(query, offset=query.offset + 25 * (at % _PAGES)) for at, query in enumerate(queries)
        ]
    index.search(queries[0])
    took, used = [], []
    for query in queries:
        if name.endswith("at once"):
            index = SqlIndex(engine)
        start, cpu = time.perf_counter(), time.process_time()
        index.search(query)
        took.append(1000 * (time.perf_counter() - start))
        used.append(1000 * (time.process_time() - cpu))
    cell = f"{min(took):.2f} / {statistics.median(took):.2f} / {statistics.median(used):.2f}"
    return cell, _plan(engine, index, queries[-1])


def _plan(engine: Engine, index: SqlIndex, query: Query) -> str:
    """The first step of the plan of the statement that finds the studies."""
    said: list[tuple[str, Any]] = []

    def listen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        said.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", listen)
    index.search(query)
    event.remove(engine, "before_cursor_execute", listen)
    statement, parameters = next((pair for pair in said if "AS studies_study_uid" in pair[0]), said[-1])
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
                for name in QUESTIONS:
                    cell, plans[name] = ask(engine, name, size, times)
                    found[name].append(cell)
            print(
                f"\n| {kind}: least / p50 / CPU p50, ms | "
                + " | ".join(f"{size:,}" for size in sizes)
                + " | plan |"
            )
            print("|---" * (len(sizes) + 2) + "|")
            for name, cells in found.items():
                print(f"| {name} | " + " | ".join(cells) + f" | {plans[name]} |", flush=True)


if __name__ == "__main__":
    main()
