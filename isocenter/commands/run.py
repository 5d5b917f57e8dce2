"""Commands that run until they are stopped: the whole system, or one of its parts."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import click

from isocenter import migrations
from isocenter.commands.options import SettingsSource, with_settings
from isocenter.part import (
    keep_freed_memory,
    listening_socket,
    on_hangup,
    say_ready,
    stop_with_supervisor,
    until_stopped,
)
from isocenter.parts import beating
from isocenter.settings import Settings, SettingsError
from isocenter.supervisor import Supervisor

log = logging.getLogger(__name__)

_listening = click.option(
    "--listening", type=int, hidden=True, help="A socket that listens, of another process of this part."
)
_supervised = click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input closes.")


def parts_of(settings: Settings) -> tuple[str, ...]:
    """The processes of one machine; with `memory://` the worker plans its own work."""
    router = ("router",) if settings.destinations or settings.prefetch or settings.availability else ()
    if not settings.inference.enabled:
        return ("node", "web", *router)
    planner = () if in_process(settings) else ("scheduler",)
    return ("node", "web", "worker", *planner, *router)


def in_process(settings: Settings) -> bool:
    """Whether messages stay inside one process."""
    return settings.broker.url.startswith("memory:")


@contextmanager
def _naming(key: str, port: int) -> Iterator[None]:
    """Name the setting when its port cannot be listened on."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"{key}: cannot listen on port {port}: {error.strerror}") from None


@click.command()
@with_settings("--dicom-port", "--http-port", "--host", "--aet", for_children=True)
def serve(settings: Settings, environment: dict[str, str]) -> None:
    """Run everything on this machine: DICOM node, web server, worker.

    Prints `ready dicom=HOST:PORT http=URL` when everything listens. Ctrl-C finishes what was begun and stops.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    migrations.upgrade(settings.index_url)
    with until_stopped() as stopped:
        supervisor = Supervisor(parts_of(settings), environment)
        facts = supervisor.start()
        try:
            with on_hangup(supervisor.read_again):
                say_ready(dicom=facts["dicom"], http=facts["http"])
                supervisor.watch(stopped.is_set)
        finally:
            supervisor.stop()


@click.command()
@with_settings("--dicom-port", "--host", "--aet", for_children=True, for_reading_again=True)
@_supervised
@_listening
def node(
    settings: Settings,
    environment: dict[str, str],
    source: SettingsSource,
    *,
    supervised: bool,
    listening: int | None,
) -> None:
    """Run the DICOM node alone (storage, query and retrieval, commitment, worklist).

    Peers and users follow the settings file while it runs, at once on SIGHUP.
    """
    from isocenter.dimse import Reloading, node_for  # noqa: PLC0415 - each part imports only what it runs
    from isocenter.node_services import reporting  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415

    with (
        until_stopped() as stopped,
        open_services(settings) as services,
        beating(services.parts, "node"),
        ExitStack() as stack,
    ):
        if supervised:
            stop_with_supervisor()
        shared = _shared_socket(settings, listening)
        helpers = Supervisor(
            ["node"] * (0 if listening else settings.node.processes - 1), environment, shared
        )
        edge = node_for(services, shared)
        reloading = Reloading(edge, source.read, source.file, helpers.read_again)
        with _naming("node.port", settings.node.port):
            port = edge.start()
        if not listening:
            stack.enter_context(reporting(services, edge.destinations))
        stack.enter_context(_running(helpers, stopped))
        say_ready(dicom=f"{settings.node.host or settings.host}:{port}")
        reloading.until(stopped)
        edge.stop(settings.node.drain_seconds)


def _shared_socket(settings: Settings, listening: int | None) -> socket.socket | None:
    """That the processes of a node listen on; None where there is one process."""
    if settings.node.processes == 1:
        return None
    if inherited := _inherited(listening):
        return inherited
    with _naming("node.port", settings.node.port):
        return listening_socket(settings.node.host or settings.host, settings.node.port)


def _inherited(listening: int | None) -> socket.socket | None:
    return None if listening is None else socket.socket(fileno=listening)


@contextmanager
def _running(helpers: Supervisor, stopped: threading.Event) -> Iterator[threading.Event]:
    """The other processes of a part, which stop when `stopped` is set: while this one does."""
    if not helpers.names:
        yield stopped
        return
    helpers.start()

    def watch() -> None:
        helpers.watch(stopped.is_set)
        helpers.stop()

    watching = threading.Thread(target=watch, name="helpers")
    watching.start()
    try:
        yield stopped
    finally:
        stopped.set()
        watching.join()


@click.command()
@with_settings("--http-port", "--host", for_children=True)
@_supervised
@_listening
def web(settings: Settings, environment: dict[str, str], *, supervised: bool, listening: int | None) -> None:
    """Run the web server alone (DICOMweb, pages, metrics)."""
    from isocenter.http import create_app  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415
    from isocenter.serving import run_http  # noqa: PLC0415

    keep_freed_memory()
    host = settings.web.host or settings.host
    with _naming("web.port", settings.web.port):
        shared = _inherited(listening) or listening_socket(host, settings.web.port)
    helpers = Supervisor(["web"] * (0 if listening else settings.web.processes - 1), environment, shared)
    with (
        open_services(settings) as services,
        beating(services.parts, "web"),
        shared,
        _running(helpers, threading.Event()) as stopped,
    ):
        if supervised:
            stop_with_supervisor()
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{shared.getsockname()[1]}"
        run_http(create_app(services), shared, lambda: say_ready(http=url), stopped.set)


@click.command()
@with_settings()
@_supervised
def worker(settings: Settings, *, supervised: bool) -> None:
    """Run a worker: a Celery worker that runs models on work items.

    With the `memory://` broker it plans the work as well; otherwise run `isocenter scheduler` beside it.
    """
    from isocenter.scheduler import Scheduler  # noqa: PLC0415
    from isocenter.services import open_services, resources_of  # noqa: PLC0415
    from isocenter.worker import Crew, celery_app, hinter, run_worker  # noqa: PLC0415

    with open_services(settings) as services, ExitStack() as stack:
        app, resources = celery_app(settings.broker.url), resources_of(settings)
        names = ("worker", "scheduler") if in_process(settings) else ("worker",)
        stack.enter_context(beating(services.parts, *names))
        if in_process(settings):
            planner = Scheduler(services.triggers(), services.work, hinter(app), services.upkeep)
            stopped = threading.Event()
            thread = threading.Thread(target=planner.run, args=(stopped,), name="scheduler")
            thread.start()
            stack.callback(thread.join)
            stack.callback(stopped.set)
        if supervised:
            stop_with_supervisor()
        code = run_worker(
            app,
            Crew(partial(services.pipeline().run_next, resources), settings.inference.at_once),
            resources,
            on_ready=lambda: say_ready(worker="yes"),
            log_level=settings.log_level,
        )
    raise SystemExit(code)


@click.command()
@with_settings()
@_supervised
def scheduler(settings: Settings, *, supervised: bool) -> None:
    """Run the scheduler: decides which models run on what arrived, and tells the workers."""
    from isocenter.scheduler import Scheduler  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415
    from isocenter.worker import celery_app, hinter  # noqa: PLC0415

    if in_process(settings):
        raise click.UsageError(
            "with broker.url = memory:// the worker plans its own work; set it (ISOCENTER_BROKER__URL)"
            " to redis://… or amqp://… to run the scheduler as a process of its own"
        )
    with (
        until_stopped() as stopped,
        open_services(settings) as services,
        beating(services.parts, "scheduler"),
    ):
        if supervised:
            stop_with_supervisor()
        say_ready(scheduler="yes")
        hint = hinter(celery_app(settings.broker.url))
        Scheduler(services.triggers(), services.work, hint, services.upkeep).run(stopped)


@click.command()
@with_settings()
@_supervised
def router(settings: Settings, *, supervised: bool) -> None:
    """Run the router: sends what the rules choose to their destinations.

    Several may run; each shipment is sent by one of them.
    """
    from isocenter.routing.build import router_for  # noqa: PLC0415
    from isocenter.services import open_services  # noqa: PLC0415

    with (
        until_stopped() as stopped,
        open_services(settings) as services,
        beating(services.parts, "router"),
    ):
        if supervised:
            stop_with_supervisor()
        sending = router_for(services, stopped)
        say_ready(router="yes")
        sending.run()
