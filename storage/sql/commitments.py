"""Storage commitments that were asked for, until their peers have been told."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, and_, insert, select, update

from storage.commitment import Commitment, Reference, State
from storage.errors import InvalidQuery
from storage.sql.engine import reading, writing
from storage.sql.workflow_tables import commitments

_MOST_REASON = 1000


class SqlCommitments:
    """Requests by peer and Transaction UID; kept in the database; any number of processes may share them.

    Every method raises `StorageDown` when the database does not answer.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, asked: Commitment, *, lease: timedelta) -> Commitment:
        """Keep a request; for `lease` nobody else tries to answer it.

        Asked again for the same instances, it is answered again.

        Raises:
            InvalidQuery: the peer has asked for other instances under this Transaction UID.
        """
        due_at = asked.asked_at + lease
        with writing(self._engine, alone=True) as connection:
            known = _found(connection, asked)
            if known is None:
                connection.execute(insert(commitments).values(_row(asked) | {"due_at": due_at}))
                return asked
            if known.references != asked.references:
                raise InvalidQuery(f"Transaction UID {asked.transaction} is in use for other instances")
            values = {"state": "waiting", "due_at": due_at, "attempts": 0, "failed": None, "reason": ""}
            connection.execute(update(commitments).where(_is(asked)).values(values))
        return asked

    def take_due(self, now: datetime, lease: timedelta, limit: int = 100) -> list[Commitment]:
        """Requests whose answer is due, oldest first; for `lease` nobody else gets them."""
        due = and_(commitments.c.state == "waiting", commitments.c.due_at <= now)
        query = select(commitments).where(due).order_by(commitments.c.due_at).limit(limit)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        if not rows:
            return []
        with writing(self._engine) as connection:
            return [_commitment(row) for row in rows if _leased(connection, row, now + lease)]

    def told(self, commitment: Commitment, failed: int) -> None:
        """The peer knows; `failed` of the instances could not be committed."""
        self._set(commitment, "reported", failed=failed, reason="")

    def later(self, commitment: Commitment, due_at: datetime, reason: str = "") -> None:
        """Try again at `due_at`; with a reason it was an attempt."""
        attempts = commitment.attempts + bool(reason)
        self._set(commitment, "waiting", due_at=due_at, attempts=attempts, reason=reason[:_MOST_REASON])

    def give_up(self, commitment: Commitment, reason: str) -> None:
        """The peer cannot be told."""
        self._set(commitment, "given up", attempts=commitment.attempts + 1, reason=reason[:_MOST_REASON])

    def latest(self, limit: int = 1000) -> list[Commitment]:
        """What was asked for, latest first."""
        query = select(commitments).order_by(commitments.c.asked_at.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_commitment(row) for row in connection.execute(query).mappings()]

    def _set(self, commitment: Commitment, state: State, **values: object) -> None:
        with writing(self._engine) as connection:
            change = update(commitments).where(_is(commitment), commitments.c.state == "waiting")
            connection.execute(change.values(state=state, **values))


def _is(commitment: Commitment) -> ColumnElement[bool]:
    return and_(
        commitments.c.transaction_uid == commitment.transaction, commitments.c.peer == commitment.peer
    )


def _found(connection: Connection, asked: Commitment) -> Commitment | None:
    row = connection.execute(select(commitments).where(_is(asked))).mappings().first()
    return None if row is None else _commitment(row)


def _leased(connection: Connection, row: RowMapping, until: datetime) -> bool:
    same = and_(commitments.c.id == row["id"], commitments.c.due_at == row["due_at"])
    still = and_(same, commitments.c.state == "waiting")
    return connection.execute(update(commitments).where(still).values(due_at=until)).rowcount == 1


def _row(asked: Commitment) -> dict[str, object]:
    return {
        "transaction_uid": asked.transaction,
        "peer": asked.peer,
        "instances": [[each.sop_class, each.sop] for each in asked.references],
        "state": asked.state,
        "asked_at": asked.asked_at,
    }


def _commitment(row: RowMapping) -> Commitment:
    return Commitment(
        transaction=row["transaction_uid"],
        peer=row["peer"],
        references=tuple(Reference(*each) for each in row["instances"]),
        asked_at=row["asked_at"],
        state=row["state"],
        attempts=row["attempts"],
        reason=row["reason"],
        failed=row["failed"],
    )
