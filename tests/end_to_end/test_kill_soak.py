"""kill -9 of worker, broker and scheduler at random moments: every piece of work comes to one result."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dicom_node.send import send
from tests.inference.analyses import film_header, part10
from tests.inference.packages import film_package
from tests.support.servers import free_ports, listens, program, running
from tests.support.system import Process, scaled_out, wait_until

ITEMS = 50
SEED = 5


class Broker:
    """A Redis that can be killed and started again, empty, on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self._port,) = free_ports()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._stack = ExitStack()
        self.start()

    def start(self) -> None:
        command = [program("redis-server"), "--port", str(self._port), "--bind", "127.0.0.1"]
        options = ["--dir", str(self._folder), "--save", "", "--appendonly", "no"]
        ready = running([*command, *options], self._folder / "redis.log", lambda: listens(self._port))
        self._stack.enter_context(ready)

    def kill(self) -> None:
        self._stack.close()


def films(folder: Path) -> list[Path]:
    paths = []
    for number in range(ITEMS):
        uids = {"SOPInstanceUID": f"2.25.5{number:03}", "SeriesInstanceUID": f"2.25.6{number // 10}"}
        path = folder / f"{number}.dcm"
        path.write_bytes(part10(film_header(**uids)))
        paths.append(path)
    return paths


@contextmanager
def killing(parts: dict[str, Process], broker: Broker, environment: dict[str, str]) -> Iterator[Counter]:
    """Kills one of three every moment and starts it again; counts how often each died."""
    chance, stopped, deaths = random.Random(SEED), threading.Event(), Counter()

    def kill() -> None:
        while not stopped.wait(chance.uniform(0.5, 4)):
            victim = chance.choice(["worker", "scheduler", "broker"])
            deaths[victim] += 1
            if victim == "broker":
                broker.kill()
                broker.start()
            else:
                parts[victim].stop(9)
                parts[victim] = Process(victim, environment=environment, log=parts[victim].log)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield deaths
    finally:
        stopped.set()
        thread.join(120)
        for name in ("worker", "scheduler"):
            parts[name].stop()


@pytest.mark.soak
def test_work_comes_to_one_result_each_whatever_dies(tmp_path: Path, postgres_url: str, s3: dict[str, str]):
    film_package(tmp_path / "models")
    broker = Broker(tmp_path)
    settings = {
        "ISOCENTER_INFERENCE__MODELS": f'["{tmp_path / "models"}"]',
        "ISOCENTER_INFERENCE__LEASE_SECONDS": "3",
        "ISOCENTER_INFERENCE__MAX_ATTEMPTS": "50",
        "ISOCENTER_INFERENCE__QUIET_SECONDS": "2",
        "ISOCENTER_INFERENCE__SUMMARIES": '["sc"]',
    }
    (tmp_path / "sent").mkdir()
    with scaled_out(tmp_path, postgres_url, broker.url, s3, **settings) as (system, parts):
        again = system.environment | {"ISOCENTER_DATA": str(tmp_path / "again")}
        with killing(parts, broker, again) as deaths:
            sent = send(films(tmp_path / "sent"), system.host, system.port, "ISOCENTER", "TEST")
            assert all(each.stored for each in sent)
            items = system.wait_for_work(ITEMS, 400)
            wait_until(lambda: set(deaths), lambda died: died == {"worker", "scheduler", "broker"}, 60)
        assert Counter(item["outcome"] for item in items) == {"results": ITEMS}
        study = items[0]["study"]
        reports = system.web.search_for_instances(study, search_filters={"Modality": "SR"})
        stored = Counter(report["00080018"]["Value"][0] for report in reports)
        assert stored == Counter(item["results"][0] for item in items)
        assert set(stored.values()) == {1}
        assert len(stored) == ITEMS
    broker.kill()
