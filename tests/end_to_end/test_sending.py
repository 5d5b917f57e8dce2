"""kill -9 of what sends: everything arrives nevertheless, and the queue knows."""

import json
import os
import signal

from dicom_node.send import send
from tests.dicom_node.builders import ct, saved
from tests.isocenter.destinations import other_isocenter
from tests.isocenter.routed import destination, held_by, peer, route
from tests.support.system import isocenter, served, wait_until

SLOWLY = "max_megabytes_per_second = 0.01"


def test_router_that_is_killed_goes_on_where_it_was(tmp_path):
    files = [saved(ct(StudyInstanceUID="2.25.1"), tmp_path) for _ in range(60)]
    sops = {file.stem for file in files}
    config = tmp_path / "isocenter.toml"
    with other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}) as (one, port):
        text = peer("ONE", port) + destination("one", "ONE", SLOWLY) + route("all", "one")
        config.write_text("[routing]\nsettle_seconds = 1\nlease_seconds = 2\n" + text)
        settings = {"ISOCENTER_CONFIG": str(config), "ISOCENTER_INFERENCE__ENABLED": "false"}
        with served(tmp_path, **settings) as (system, process):
            assert all(each.stored for each in send(files, system.host, system.port, "ISOCENTER", "CT01"))
            wait_until(lambda: held_by(one), bool, 30)
            os.kill(process.children()["router"], signal.SIGKILL)
            assert held_by(one) < sops
            wait_until(lambda: held_by(one), lambda held: held == sops, 60)

            def shipments():
                asked = ("routes", "queue", "--state", "sent", "--json")
                return json.loads(isocenter(*asked, environment=system.environment).stdout)

            assert sum(each["sent"] for each in wait_until(shipments, bool, 30)) == len(files)
