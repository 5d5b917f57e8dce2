"""One request about a procedure step in one transaction."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine

from inference.ups.replies import Refused, Reply, unknown
from inference.workitems import UnknownWorkItem
from storage.sql.engine import writing


def answered(engine: Engine, work: Callable[[Connection], Reply]) -> Reply:
    """The reply of `work` in a transaction of its own, which a refusal rolls back. Raises `StorageDown`."""
    try:
        with writing(engine) as connection:
            return work(connection)
    except Refused as refused:
        return refused.reply
    except UnknownWorkItem as error:
        return unknown(error.uid).reply
