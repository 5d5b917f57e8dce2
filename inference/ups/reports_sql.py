"""Event reports (PS3.4 CC.2.4): written for each subscriber in the transaction of the change."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, and_, delete, insert, select

from inference.tables import step_reports, step_subscriptions
from inference.ups import data_set as tags
from inference.ups.data_set import Access, data_set, progress_information
from inference.ups.elements import Attributes, element, items, sequence
from inference.workitems import Performer, State, WorkItem
from storage.key_matching import Keys
from storage.sql.engine import reading, writing

GLOBAL = "1.2.840.10008.5.1.4.34.5"
"""UPS Global Subscription SOP Instance: all steps."""
FILTERED = "1.2.840.10008.5.1.4.34.5.1"
"""UPS Filtered Global Subscription SOP Instance: those that match."""
STATE_REPORT, CANCEL_REQUESTED, PROGRESS_REPORT, ASSIGNED = 1, 2, 3, 5
KEPT_FOR = timedelta(days=7)
"""So long a report waits for a receiver who does not fetch it."""
MOST_KEPT = 10_000
"""So many reports wait for one receiver."""
_CANCEL_TAGS = ("00741238", "0074100E", "0074100A", "0074100C")

Receiver = tuple[str, str]
"""AE title, and the channel by which it hears: `dimse` or `web`."""


@dataclass(frozen=True, slots=True)
class Report:
    """One event report for one receiver."""

    id: int
    aet: str
    uid: str
    """SOP Instance UID of the procedure step."""
    event_type: int
    """Event Type ID of PS3.4 table CC.2.4-1."""
    attributes: Attributes
    """The event information, in the DICOM JSON Model."""


class SqlReports:
    """The reports that wait for their receivers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def waiting(self, channel: str, aet: str, limit: int = 100) -> list[Report]:
        """The oldest reports for a receiver, in the order of what they tell."""
        row = step_reports.c
        query = select(step_reports).where(row.channel == channel, row.aet == aet).order_by(row.id)
        with reading(self._engine) as connection:
            return [_report(found) for found in connection.execute(query.limit(limit)).mappings()]

    def receivers(self, channel: str) -> list[str]:
        """AE titles that reports wait for."""
        query = select(step_reports.c.aet).where(step_reports.c.channel == channel).distinct()
        with reading(self._engine) as connection:
            return sorted(connection.scalars(query))

    def received(self, report: int) -> None:
        """The report with this `id` has arrived: it is not sent again."""
        with writing(self._engine) as connection:
            connection.execute(delete(step_reports).where(step_reports.c.id == report))

    def prune(self, now: datetime) -> int:
        """Give up what nobody has fetched: reports of `KEPT_FOR`, and of each receiver all but `MOST_KEPT`.

        Returns:
            How many there were.
        """
        row = step_reports.c
        with writing(self._engine) as connection:
            gone = connection.execute(delete(step_reports).where(row.at < now - KEPT_FOR)).rowcount
            receivers = connection.execute(select(row.channel, row.aet).distinct()).all()
            for channel, aet in receivers:
                mine = and_(row.channel == channel, row.aet == aet)
                newest = select(row.id).where(mine).order_by(row.id.desc())
                last = connection.execute(newest.offset(MOST_KEPT).limit(1)).scalar()
                if last is not None:
                    gone += connection.execute(delete(step_reports).where(mine, row.id <= last)).rowcount
        return gone


def _report(row: RowMapping) -> Report:
    return Report(row["id"], row["aet"], row["uid"], row["event_type"], row["attributes"])


def receivers_of(connection: Connection, item: WorkItem) -> list[Receiver]:
    """Who is subscribed to a step; what was said of this one precedes what was said of all (CC.2.3.1)."""
    row = step_subscriptions.c
    query = select(step_subscriptions).where(row.uid.in_((item.uid, GLOBAL, FILTERED)))
    own: dict[Receiver, bool] = {}
    general: set[Receiver] = set()
    for found in connection.execute(query).mappings():
        receiver = (str(found["aet"]), str(found["channel"]))
        if found["uid"] == item.uid:
            own[receiver] = found["subscribed"]
        elif _covers(found, item):
            general.add(receiver)
    return sorted({each for each, subscribed in own.items() if subscribed} | (general - own.keys()))


def _covers(subscription: RowMapping, item: WorkItem) -> bool:
    """A general subscription means this step: it was not suspended before, and its keys match."""
    suspended: datetime | None = subscription["suspended_at"]
    if suspended is not None and item.created_at > suspended:
        return False
    return subscription["uid"] == GLOBAL or Keys(subscription["keys"]).match(data_set(item, Access()))


def report_state(connection: Connection, item: WorkItem, at: datetime) -> None:
    """Tell that the step is now in its state; new steps say whom they are assigned to as well."""
    _write(connection, item, STATE_REPORT, lambda: state_information(item.state, item), at)
    if item.state is State.SCHEDULED:
        report_assignment(connection, item, at)


def report_canceled_unbegun(connection: Connection, item: WorkItem, at: datetime) -> None:
    """Tell that a step which nobody began was canceled: by way of IN PROGRESS (CC.2.2.3)."""
    _write(connection, item, STATE_REPORT, lambda: state_information(State.IN_PROGRESS, item), at)
    report_state(connection, item, at)


def state_information(state: State, item: WorkItem) -> Attributes:
    """The event information of a UPS State Report."""
    told = {tags.READINESS: element("CS", item.readiness), tags.STATE: element("CS", state.value)}
    if state is State.CANCELED and item.reason:
        told[tags.CANCEL_REASON] = element("LT", item.reason[:10240])
    return told


def report_progress(connection: Connection, item: WorkItem, at: datetime) -> None:
    """Tell how far the step is."""
    if item.performer is Performer.WORKER:
        progress = [progress_information(item)]
    else:
        progress = items(item.attributes, tags.PROGRESS_INFORMATION)
    _write(connection, item, PROGRESS_REPORT, lambda: {tags.PROGRESS_INFORMATION: sequence(*progress)}, at)


def report_assignment(connection: Connection, item: WorkItem, at: datetime) -> None:
    """Tell which station or person the step is for, when that is said of it."""
    whole = data_set(item, Access())
    told = {tag: whole[tag] for tag in (tags.STATIONS, tags.PERFORMERS) if items(whole, tag)}
    if told:
        _write(connection, item, ASSIGNED, lambda: told, at)


def report_cancel_request(
    connection: Connection, item: WorkItem, request: Mapping[str, Any], requester: str, at: datetime
) -> None:
    """Tell the performer, and all others, that somebody wants the step canceled."""
    told = {tag: request[tag] for tag in _CANCEL_TAGS if tag in request}
    told |= {"00741236": element("AE", *filter(None, [requester]))}
    _write(connection, item, CANCEL_REQUESTED, lambda: dict(sorted(told.items())), at)


def _write(
    connection: Connection, item: WorkItem, event_type: int, told: Callable[[], Attributes], at: datetime
) -> None:
    rows = list(_rows(receivers_of(connection, item), item, event_type, told, at))
    if rows:
        connection.execute(insert(step_reports), rows)


def _rows(
    receivers: list[Receiver], item: WorkItem, event_type: int, told: Callable[[], Attributes], at: datetime
) -> Iterator[dict[str, Any]]:
    for aet, channel in receivers:
        same = {"uid": item.uid, "event_type": event_type, "attributes": told(), "at": at}
        yield {"aet": aet, "channel": channel} | same
