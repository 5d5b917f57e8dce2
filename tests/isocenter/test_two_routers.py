"""Several routers over one PostgreSQL share the work: everything is sent, and nothing twice."""

import threading
from contextlib import ExitStack

from isocenter import migrations
from isocenter.routing.build import router_for
from isocenter.services import open_services
from isocenter.settings import load_settings
from tests.isocenter.destinations import other_isocenter
from tests.isocenter.routed import destination, held_by, peer, route, store
from tests.support.system import wait_until

STUDIES, IMAGES = 12, 3


def test_two_routers_send_each_instance_once(tmp_path, postgres_url):
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:", 1)
    migrations.upgrade(url)
    with ExitStack() as stack:
        one, port = stack.enter_context(other_isocenter(tmp_path / "one", **{"node.aet": "ONE"}))
        file = tmp_path / "isocenter.toml"
        file.write_text(
            f"[routing]\nsettle_seconds = 0\n{peer('ONE', port)}"
            + destination("one", "ONE", "parallel = 2")
            + route("all", "one")
        )
        overrides = {"data": tmp_path / "data", "index.url": url}
        both = [
            stack.enter_context(open_services(load_settings(file, {}, overrides | {"storage.spool": spool})))
            for spool in (tmp_path / "first", tmp_path / "second")
        ]
        stopped = threading.Event()
        threads = [threading.Thread(target=router_for(each, stopped).run) for each in both]
        for thread in threads:
            thread.start()
            stack.callback(thread.join, 30)
        stack.callback(stopped.set)
        sops = [sop for _ in range(STUDIES) for sop in store(both[0], count=IMAGES)]
        wait_until(lambda: held_by(one), lambda held: held == set(sops), 40)
        wait_until(lambda: both[0].shipments.listed(["waiting"]), lambda waiting: not waiting, 20)
        (figures,) = both[0].shipments.figures()
        assert (figures.sent, figures.failed) == (len(sops), 0)
        assert sum(each.sent for each in both[1].shipments.listed(["sent"])) == len(sops)
