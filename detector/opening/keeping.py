"""ROUTE's side: the link table of the configured database, where two groups of people could open a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from detector.config import Config
from detector.opening.chores import signing_key
from detector.openingcheck import keeps_links
from detector.privacy.people import holders
from detector.privacy.vault import Halted, Sealer
from detector.store.database import Database
from detector.store.embedded import url_beside
from detector.store.links import LinkTable
from detector.store.opening import with_password

log = structlog.get_logger()


def link_table(config: Config, environ: Mapping[str, str], clock: Callable[[], int], pause: Callable[[float], bool]) -> LinkTable | None:
    """None where nobody could open anything. Waits for an embedded server, which SCORE starts.

    Raises Halted when asked to end meanwhile, ConfigError for a line that is no public key.
    """
    if not keeps_links(config):
        return None
    people = holders(config)
    url = _url(config, environ)
    while url is None:
        log.warning("database-away", reason="the embedded server has not been started yet", next_try_s=1.0)
        if pause(1.0):
            raise Halted
        url = _url(config, environ)
    return LinkTable(Database(url), Sealer(config.opening.groups, people, signing_key(config.audit.key_file)), clock, pause)


def _url(config: Config, environ: Mapping[str, str]) -> str | None:
    if config.database.url == "embedded":
        return url_beside(Path(config.database.directory))
    return with_password(config.database.url, config, environ)
