"""Once a night everything past its time goes: tables, our topics, our annotations in Grafana; see store/retention.py.

The watch of SCORE asks every minute whether a night is due: the last 03:00 of the first tenant's time has not been followed by a
run. So a machine that was off at night catches up, and what failed (disk full, a lock, Grafana away) is tried again a minute later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import structlog
from kafka.errors import KafkaError

from detector import packs
from detector.config import Config
from detector.judge.policy import ZONE, Policy
from detector.opening.chores import signing_key
from detector.sources import topics
from detector.store import Database, retention
from detector.store.database import moment
from detector.store.retention import Deleted, Periods, Record

log = structlog.get_logger()
AT = 3  # o'clock, local
EVERY = 60_000_000 * 15  # µs between two attempts of a night that does not come to its end


def due(last: dt.datetime | None, now: dt.datetime, zone: str) -> bool:
    """Whether the last 03:00 has not been followed by a finished run."""
    local = now.astimezone(ZoneInfo(zone))
    begin = local.replace(hour=AT, minute=0, second=0, microsecond=0)
    if begin > local:
        begin -= dt.timedelta(days=1)
    return last is None or last < begin


@dataclass(slots=True)
class Night:
    """Asked every minute; `environ` has the secrets of Kafka and Grafana."""

    config: Config
    database: Database
    environ: Mapping[str, str]
    zone: str = ZONE
    tried: int = field(default=0)  # µs

    @classmethod
    def of(cls, config: Config, database: Database, environ: Mapping[str, str]) -> Night:
        zones = Policy.of(config).zones
        return cls(config, database, environ, next(iter(zones.values()), ZONE))

    def __call__(self, now: int) -> Record | None:
        """The run's record, if one was due and came to its end. Raises Away."""
        if now - self.tried < EVERY:
            return None
        with self.database.transaction() as connection:
            last = retention.last_run(connection)
        if not due(last, moment(now), self.zone):
            return None
        self.tried = now
        record = self.run(now)
        if record is not None:
            log.info("deleted", run=record.run, rows=sum(line.rows for line in record.deleted), holds=record.holds)
        return record

    def run(self, now: int) -> Record | None:
        """Now, whether it is due or not; None when another process is at it."""
        days, own = packs.periods(self.config)
        return retention.night(self.database, Periods(days, own), now, signing_key(self.config.audit.key_file), self._outside)

    def _outside(self, now: int) -> list[Deleted]:
        return [*self._annotations(now), *self._topics()]

    def _topics(self) -> list[Deleted]:
        """Brokers delete by themselves; here only is seen that they do."""
        kafka = self.config.kafka
        if kafka is None:
            return []
        try:
            if kafka.create_topics:
                changed = topics.shorten(kafka, self.config.retention, self.environ)
            else:
                changed = list(topics.too_long(kafka, self.config.retention, self.environ))
        except KafkaError as error:
            log.warning("topics-not-checked", reason=type(error).__name__)
            return []
        if changed != []:
            log.warning("topics-kept-too-long", topics=changed, mended=kafka.create_topics)
        return []

    def _annotations(self, now: int) -> list[Deleted]:
        if self.config.grafana.url == "":
            return []
        from detector.grafana import expiry  # late: its HTTP library costs a third of a second

        return expiry.forget(self.config, self.environ, now)
