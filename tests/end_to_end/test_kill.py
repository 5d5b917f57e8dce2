"""kill -9 of any process at any moment: what was acknowledged is there, whole; the AI result appears once."""

import os
import signal
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_node.send import send
from tests.support.system import System, served, wait_until

FINAL = {"COMPLETED", "CANCELED"}


@pytest.mark.parametrize("victim", ["node", "web", "worker", "serve"])
def test_every_acknowledged_instance_survives_and_the_result_appears_once(
    tmp_path: Path, small_ct: list[Path], victim: str
):
    with served(tmp_path, ISOCENTER_INFERENCE__LEASE_SECONDS="3") as (system, process):
        sent_half = threading.Event()
        acknowledged: list[Path] = []

        def progress(result):
            if result.stored:
                acknowledged.append(result.path)
            if len(acknowledged) == len(small_ct) // 2:
                sent_half.set()

        sender = threading.Thread(
            target=send,
            args=(small_ct, system.host, system.port, "ISOCENTER", "TEST"),
            kwargs={"progress": progress},
        )
        sender.start()
        assert sent_half.wait(60)
        os.kill(process.pid if victim == "serve" else process.children()[victim], signal.SIGKILL)
        sender.join(60)
        assert not sender.is_alive()
        if victim == "serve":
            process.stop()
    restarted = served(tmp_path, ISOCENTER_INFERENCE__LEASE_SECONDS="3")
    with restarted as (system, _):
        for path in acknowledged:
            assert_whole(system, path)
        # The sender sends again what was not acknowledged, as every sender does.
        results = send(small_ct, system.host, system.port, "ISOCENTER", "TEST")
        assert all(each.stored for each in results)
        items = wait_until(
            system.work,
            lambda items: (
                any(complete(i, small_ct) for i in items) and all(i["state"] in FINAL for i in items)
            ),
            120,
        )
        (whole,) = (i for i in items if complete(i, small_ct))
        assert whole["outcome"] == "results"
        reports = system.web.search_for_instances(whole["study"], search_filters={"Modality": "SR"})
        stored = Counter(report["00080018"]["Value"][0] for report in reports)
        assert stored == Counter(i["results"][0] for i in items if i["outcome"] == "results")


def complete(item: dict, files: list[Path]) -> bool:
    return item["model"] == "ct-lung-density" and item["instances"] == len(files)


def assert_whole(system: System, path: Path) -> None:
    sent = pydicom.dcmread(path)
    got = system.web.retrieve_instance(sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
    assert np.array_equal(got.pixel_array, sent.pixel_array)
    assert got.to_json_dict() == sent.to_json_dict()
