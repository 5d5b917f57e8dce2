"""Notifications of what is available elsewhere."""

from datetime import datetime

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from storage.availability import Notice
from storage.sql.engine import reading, writing
from storage.sql.workflow_tables import availability_notices


class SqlAvailability:
    """Notices by SOP Instance UID. Every method raises `StorageDown` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, notice: Notice) -> bool:
        """Keep a notice; False when its UID is taken."""
        values = {
            "sop_uid": notice.sop,
            "peer": notice.peer,
            "study_uid": notice.study,
            "attributes": notice.attributes,
            "received_at": notice.received_at,
        }
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(availability_notices).values(values))
        except IntegrityError:
            return False
        return True

    def listed(self, study: str | None = None, limit: int = 1000) -> list[Notice]:
        """The latest first; of one study, or of all."""
        row = availability_notices.c
        query = select(availability_notices).order_by(row.received_at.desc()).limit(limit)
        if study is not None:
            query = query.where(row.study_uid == study)
        with reading(self._engine) as connection:
            return [
                Notice(each.sop_uid, each.peer, each.study_uid, each.attributes, each.received_at)
                for each in connection.execute(query)
            ]

    def forget(self, before: datetime) -> None:
        """Remove what was received before this time."""
        old = availability_notices.c.received_at < before
        with writing(self._engine) as connection:
            connection.execute(delete(availability_notices).where(old))
