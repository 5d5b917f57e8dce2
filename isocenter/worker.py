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
from celery.worker import state
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


class Crew:
    """Some threads that carry out work items, one each.

    Args:
        run: carries out the most urgent item that is due, if there is one.
        at_once: so many threads.
    """

    def __init__(self, run: Callable[[], object], at_once: int) -> None:
        self._run = run
        self._at_once = at_once
        self._free = threading.Semaphore(at_once)
        self._stopped = False

    def work(self) -> None:
        """Have one item carried out; returns when a thread was free for it."""
        self._free.acquire()
        if self._stopped:
            self._free.release()
            return
        threading.Thread(target=self._worked, name="work item", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing more; for signal handlers too."""
        self._stopped = True

    def finish(self) -> None:
        """Wait for what was begun."""
        for _ in range(self._at_once):
            self._free.acquire()

    def _worked(self) -> None:
        try:
            self._run()
        except Exception:
            log.exception("a work item was not carried out; it is due again when its lease has run out")
        finally:
            self._free.release()


def run_worker(
    app: Celery,
    crew: Crew,
    resources: Sequence[str],
    on_ready: Callable[[], None],
    log_level: str,
) -> int:
    """Work until SIGTERM (finishes the items at hand) or SIGQUIT (at once); the exit code.

    One process: ONNX Runtime uses the cores, and the loaded sessions stay warm. More workers are more
    processes.
    """

    @app.task(name=RUN)  # type: ignore[untyped-decorator]
    def run_next(resource: str) -> None:
        if resource:
            crew.work()

    def ready(**_: object) -> None:
        on_ready()

    in_process = app.conf.broker_url.startswith("memory:")

    def wake() -> None:
        # A worker without messages looks every two seconds whether it shall stop, and then once more.
        for _ in range(2):
            app.send_task(RUN, args=[""], queue=queue_of(resources[0]), retry=False)

    def stopping(**_: object) -> None:
        crew.stop()
        if in_process:
            # In a thread: the signal may have come while this one holds the queue's lock.
            threading.Thread(target=wake, name="wake", daemon=True).start()

    worker_ready.connect(ready, weak=False)
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
    if not state.should_terminate:
        crew.finish()
    return int(worker.exitcode or 0)
