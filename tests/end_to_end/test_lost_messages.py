"""The queue may lose every message; no work is lost (design promise 6)."""

from pathlib import Path

from redis import Redis

from dicom_node.send import send
from tests.support.system import Process, scaled_out, wait_until


def test_work_survives_an_emptied_broker_and_a_killed_scheduler(
    tmp_path: Path, postgres_url: str, redis_url: str, s3: dict[str, str], small_ct: list[Path]
):
    with scaled_out(tmp_path, postgres_url, redis_url, s3) as (system, parts):
        parts["worker"].stop()
        assert all(each.stored for each in send(small_ct, system.host, system.port, "ISOCENTER", "TEST"))
        planned = wait_until(
            system.work, lambda items: any(i["model"] == "ct-lung-density" for i in items), 60
        )
        assert {item["state"] for item in planned} == {"SCHEDULED"}

        with Redis.from_url(redis_url) as broker:
            wait_until(lambda: broker.llen("isocenter.cpu"), bool, 10)
            broker.flushall()
        parts["scheduler"].stop(9)

        again = [
            Process(name, environment=system.environment, log=tmp_path / f"{name}-again.log")
            for name in ("scheduler", "worker")
        ]
        try:
            ended = system.wait_for_work(len(planned))
            assert {item["state"] for item in ended if item["model"] == "ct-lung-density"} == {"COMPLETED"}
        finally:
            for process in again:
                process.stop()
