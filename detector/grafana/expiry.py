"""Our annotations in Grafana are deleted when their time is up; the verdicts they carried stay in our store."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from detector.config import Config, ConfigError
from detector.grafana import tokens
from detector.grafana.adapter import Trouble
from detector.grafana.wanted import organisations
from detector.grafanasections import Organisation
from detector.store.database import moment
from detector.store.retention import Deleted

log = structlog.get_logger()
TAG = "tuermer-verdict"
PAGE = 5000  # at most in one night


def forget(config: Config, environ: Mapping[str, str], now: int) -> list[Deleted]:
    """One line per tenant that had some; a Grafana that is away or says no is logged and asked again the next night."""
    found = []
    for organisation in organisations(config):
        try:
            line = _of(config, organisation, environ, now)
        except (Trouble, ConfigError) as error:
            log.warning("annotations-not-deleted", tenant=organisation.tenant, reason=str(error))
            continue
        found += [] if line is None else [line]
    return found


def _of(config: Config, organisation: Organisation, environ: Mapping[str, str], now: int) -> Deleted | None:
    before = (now - config.retention.annotations * 86_400_000_000) // 1000  # ms
    with tokens.login(config.grafana, organisation, "content", environ) as grafana:
        window = {"tags": TAG, "type": "annotation", "limit": PAGE, "from": 0, "to": before}
        old = [one for one in grafana.call("GET", "/annotations", params=window) if int(one["created"]) < before]
        for one in old:
            grafana.call("DELETE", f"/annotations/{int(one['id'])}")
    times = [int(one["created"]) for one in old]
    if times == []:
        return None
    first, last = (moment(1000 * ms).isoformat() for ms in (min(times), max(times)))
    return Deleted(organisation.tenant, "Grafana: annotations", len(times), first, last, moment(1000 * before).isoformat())
