"""The router as the settings describe it."""

import threading
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from dicom_node.availability import announce
from dicom_node.deliver import Deliveries
from dicom_node.destinations import Destinations
from dicom_node.peers import Peer
from isocenter.dimse import credentials_of, peers_of
from isocenter.routing.announcer import Announcer
from isocenter.routing.carrier import Carrier, Terms
from isocenter.routing.dimse import DimseSender
from isocenter.routing.errands import Errands, ErrandTerms
from isocenter.routing.planner import Planner
from isocenter.routing.prefetcher import Prefetcher, PrefetchTerms
from isocenter.routing.priors import Wanted
from isocenter.routing.router import Router
from isocenter.routing.rules import Identity, NoticeRule, PrefetchRule, Rule, addresses_of
from isocenter.routing.settings import (
    RESULTS,
    AvailabilitySettings,
    DestinationSettings,
    PrefetchSettings,
    RouteSettings,
    When,
    matched,
)
from isocenter.routing.stow import StowSender
from isocenter.routing.subjects import Subjects
from isocenter.services import Services

_LEASE_OF_A_STUDY = 600.0


def router_for(services: Services, stopped: threading.Event, *, first_pause: float = 5) -> Router:
    """The router of the settings.

    Args:
        services: what it works with.
        stopped: ends it when set.
        first_pause: seconds after the first failure of a shipment.
    """
    settings = services.settings
    lease = timedelta(seconds=settings.routing.lease_seconds)
    planner = planner_for(services)
    planner.begin()
    carriers = [
        carrier_for(each, services, stopped, lease=lease, first_pause=first_pause)
        for each in settings.destinations
    ]
    lease = max(lease, timedelta(seconds=_LEASE_OF_A_STUDY))
    errands = []
    for prefetch in settings.prefetch:
        terms = ErrandTerms(prefetch.name, prefetch.max_attempts, lease, first_pause)
        errands.append(Errands(terms, prefetcher_for(prefetch, services), services.prefetches))
    for told in settings.availability:
        terms = ErrandTerms(told.name, told.max_attempts, lease, first_pause)
        errands.append(Errands(terms, announcer_for(told, services), services.notices))
    queues = (services.shipments, services.prefetches, services.notices)
    keep = timedelta(days=settings.routing.keep_days)
    return Router(planner, carriers, errands, queues, stopped, keep=keep)


def planner_for(services: Services) -> Planner:
    """What queues what the rules of the settings ask for."""
    settings = services.settings
    return Planner(
        services.archive,
        Subjects(services.archive, services.worklist),
        services.shipments,
        [rule_of(each) for each in settings.routes],
        {each.name: identity_of(each) for each in settings.destinations},
        prefetches=[prefetch_rule_of(each) for each in settings.prefetch],
        results={
            each.name: {RESULTS[kind] for kind in each.results}
            for each in settings.destinations
            if each.results
        },
        notices=[NoticeRule(each.name, frozenset(each.when), each.source) for each in settings.availability],
        settle=timedelta(seconds=settings.routing.settle_seconds),
    )


def rule_of(route: RouteSettings) -> Rule:
    """A rule of the settings."""
    match = matched(route.match)
    return Rule(route.name, frozenset(route.when), route.source, match, route.to)


def prefetch_rule_of(prefetch: PrefetchSettings) -> PrefetchRule:
    """A rule of the settings."""
    whens: frozenset[When] = frozenset({"stored"}) if "stored" in prefetch.when else frozenset()
    rule = Rule(prefetch.name, whens, prefetch.source, matched(prefetch.match), ())
    return PrefetchRule(rule, Identity(aet=prefetch.peer), "scheduled" in prefetch.when)


def prefetcher_for(prefetch: PrefetchSettings, services: Services) -> Prefetcher:
    """What fetches priors by one rule."""
    node = services.settings.node
    destinations, peer = _peer(prefetch.peer, services)
    wanted = Wanted(
        prefetch.same_modality,
        prefetch.same_body_part,
        timedelta(days=prefetch.max_age_days),
        prefetch.max_studies,
    )
    move_to = node.aet if prefetch.by == "move" else ""
    terms = PrefetchTerms(prefetch.name, wanted, move_to, prefetch.pause_seconds)
    return Prefetcher(
        terms,
        lambda: destinations.remote(peer, prefetch.timeout_seconds),
        services.archive,
        Subjects(services.archive, services.worklist),
        services.spool,
    )


def announcer_for(told: AvailabilitySettings, services: Services) -> Announcer:
    """What tells a peer what is here."""
    destinations, peer = _peer(told.peer, services)
    return Announcer(
        services.archive,
        services.performed,
        services.settings.node.aet,
        lambda notifications: announce(destinations, peer, notifications, told.timeout_seconds),
    )


def _peer(aet: str, services: Services) -> tuple[Destinations, Peer]:
    node = services.settings.node
    destinations = Destinations(peers_of(node), node.aet, credentials_of(node))
    peer = destinations.named(aet)
    assert peer is not None  # noqa: S101 - the settings were checked
    return destinations, peer


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
    )


def carrier_for(
    destination: DestinationSettings,
    services: Services,
    stopped: threading.Event,
    *,
    lease: timedelta,
    first_pause: float,
) -> Carrier:
    """What sends to a destination."""
    sender = _stow(destination, services) if destination.url else _dimse(destination, services)
    commitment = sender.uncommitted if destination.commitment and isinstance(sender, DimseSender) else None
    return Carrier(
        terms_of(destination),
        sender,
        services.archive,
        services.shipments,
        stopped,
        commitment=commitment,
        lease=lease,
        first_pause=first_pause,
    )


def _dimse(destination: DestinationSettings, services: Services) -> DimseSender:
    destinations, peer = _peer(destination.peer or "", services)
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


def _stow(destination: DestinationSettings, services: Services) -> StowSender:
    pool = urllib3.PoolManager(
        maxsize=destination.parallel,
        retries=False,
        timeout=destination.timeout_seconds,
        cert_file=_path(destination.certificate),
        key_file=_path(destination.key),
        ca_certs=_path(destination.ca),
    )
    headers = {"User-Agent": f"Isocenter {services.settings.node.aet}"} | _authorization(destination)
    return StowSender(
        services.archive,
        services.spool,
        pool,
        destination.url,
        headers=headers,
        transfer_syntaxes=destination.transfer_syntaxes,
    )


def _authorization(destination: DestinationSettings) -> dict[str, str]:
    if destination.token:
        return {"Authorization": f"Bearer {destination.token.get_secret_value()}"}
    if destination.password:
        pair = f"{destination.user}:{destination.password.get_secret_value()}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    return {}


def _path(path: Path | None) -> str | None:
    return str(path) if path else None
