"""The router as the settings describe it."""

import threading
from datetime import timedelta
from urllib.parse import urlsplit

from dicom_node.deliver import Deliveries
from dicom_node.destinations import Destinations
from isocenter.dimse import credentials_of, peers_of
from isocenter.routing.carrier import Carrier, Sender, Terms
from isocenter.routing.dimse import DimseSender
from isocenter.routing.planner import Planner
from isocenter.routing.router import Router
from isocenter.routing.rules import Identity, Rule, addresses_of
from isocenter.routing.settings import DestinationSettings, RouteSettings
from isocenter.services import Services


def router_for(services: Services, stopped: threading.Event) -> Router:
    """The router of the settings."""
    settings = services.settings
    lease = timedelta(seconds=settings.routing.lease_seconds)
    planner = Planner(
        services.archive,
        services.shipments,
        [rule_of(each) for each in settings.routes],
        {each.name: identity_of(each) for each in settings.destinations},
        settle=timedelta(seconds=settings.routing.settle_seconds),
    )
    planner.begin()
    archive, queue = services.archive, services.shipments
    carriers = [
        Carrier(terms_of(each), sender_for(each, services), archive, queue, stopped, lease=lease)
        for each in settings.destinations
    ]
    keep = timedelta(days=settings.routing.keep_days)
    return Router(planner, carriers, queue, stopped, keep=keep)


def rule_of(route: RouteSettings) -> Rule:
    """A rule of the settings."""
    match = {
        keyword: (patterns,) if isinstance(patterns, str) else patterns
        for keyword, patterns in route.match.items()
    }
    return Rule(route.name, frozenset(route.when), route.source, match, route.to)


def identity_of(destination: DestinationSettings) -> Identity:
    """Who a destination is when it sends to us."""
    if destination.peer:
        return Identity(aet=destination.peer)
    return Identity(hosts=addresses_of(urlsplit(destination.url).hostname or ""))


def terms_of(destination: DestinationSettings) -> Terms:
    """How a destination wants to be treated."""
    megabytes = destination.max_megabytes_per_second
    return Terms(
        destination.name,
        parallel=destination.parallel,
        bytes_per_second=None if megabytes is None else megabytes * 1e6,
        windows=destination.windows,
        max_attempts=destination.max_attempts,
        commitment=destination.commitment,
    )


def sender_for(destination: DestinationSettings, services: Services) -> Sender:
    """What knows the way to a destination."""
    node = services.settings.node
    destinations = Destinations(peers_of(node), node.aet, credentials_of(node))
    peer = destinations.named(destination.peer or "")
    assert peer is not None  # noqa: S101 - the settings were checked
    deliveries = Deliveries(
        services.archive,
        services.spool,
        destinations,
        peer,
        transfer_syntaxes=destination.transfer_syntaxes,
        timeout=destination.timeout_seconds,
    )
    port = destination.commitment_port
    return DimseSender(
        deliveries,
        lambda: destinations.remote(peer, destination.timeout_seconds),
        ("0.0.0.0", port) if port else None,  # noqa: S104 - the peer calls from elsewhere
    )
