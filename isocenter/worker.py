"""The Celery application: its one task runs the most urgent work item that is due.

A message says no more than that there is work for some kind of worker. Which item it is, the database says
when a worker is free: what became urgent meanwhile goes first, however many messages are on their way.
"""

import logging
import threading
import warnings
from collections.abc import Callable, Sequence

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_ready, worker_shutting_down
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

RUN = "isocenter.run_next"
MESSAGE_SECONDS = 60.0
"""Messages that nobody has taken by then are void: the scheduler has sent new ones."""


def celery_app(broker_url: str) -> Celery:
    """A Celery application without results: outcomes are rows of the work items."""
    app = Celery("isocenter", broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options=_transport_options(broker_url),
        task_ignore_result=True,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_timer_precision=0.2,  # a worker that stops waits for its timer
    )
    return app


def _transport_options(broker_url: str) -> dict[str, float]:
    # The in-process queue is polled, once a second unless told otherwise.
    return {"polling_interval": 0.05} if broker_url.startswith("memory:") else {"socket_connect_timeout": 5}


def queue_of(resource: str) -> str:
    """The queue that workers with a resource listen to."""
    return f"isocenter.{resource}"


def hinter(app: Celery) -> Callable[[str], None]:
    """A function that tells workers with a resource of work; a broker that is away loses nothing but time."""

    def hint(resource: str) -> None:
        try:
            app.send_task(
                RUN, args=[resource], queue=queue_of(resource), expires=MESSAGE_SECONDS, retry=False
            )
        except (OperationalError, OSError) as error:
            log.warning("the broker did not take the hint at work for %s: %s", resource, error)

    return hint


def run_worker(
    app: Celery,
    run: Callable[[], object],
    resources: Sequence[str],
    on_ready: Callable[[], None],
    log_level: str,
) -> int:
    """Work until SIGTERM (finishes the item at hand) or SIGQUIT (at once); the exit code.

    One item at a time in this process: ONNX Runtime uses the cores, and the loaded sessions stay warm. More
    workers are more processes.
    """

    @app.task(name=RUN)  # type: ignore[untyped-decorator]
    def run_next(resource: str) -> None:
        if resource:
            run()

    def ready(**_: object) -> None:
        on_ready()

    def wake() -> None:
        # A worker without messages looks every two seconds whether it shall stop, and then once more.
        for _ in range(2):
            app.send_task(RUN, args=[""], queue=queue_of(resources[0]), retry=False)

    def stopping(**_: object) -> None:
        # In a thread: the signal may have come while this one holds the queue's lock.
        threading.Thread(target=wake, name="wake", daemon=True).start()

    worker_ready.connect(ready, weak=False)
    if app.conf.broker_url.startswith("memory:"):
        worker_shutting_down.connect(stopping, weak=False)
    # It warns of pickled messages, which this application does not take.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    logging.getLogger("kombu.connection").setLevel(logging.ERROR)  # "no hostname": memory:// has none
    worker = app.Worker(
        pool="solo",
        queues=[queue_of(resource) for resource in resources],
        loglevel=log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
