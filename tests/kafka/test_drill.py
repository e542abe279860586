"""`tuermer drill` against both roles, a real broker and a real database."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from detector.drill import DrillError, drill
from detector.privacy.keyfiles import new_key
from detector.simulate import City
from detector.sources.broker import Broker
from tests.broker import create_topic, unique
from tests.postgres import TestDatabase
from tests.test_end_to_end import configuration, running

pytestmark = pytest.mark.kafka


@pytest.fixture
def live(broker: Broker, database: TestDatabase, tmp_path: Path) -> Path:
    """A configuration whose topics exist; the raw topics are this test's own."""
    city = City(seed=4, people=60, start=datetime(2026, 3, 3, 8, tzinfo=UTC), attacks="none")
    config = configuration(unique("drill"), broker, database, tmp_path, city)
    text = config.read_text()
    for topic in ("firewall", "auth"):
        own = create_topic(broker, unique(topic), 2)
        for key in ("name", "topic"):
            text = text.replace(f'{key} = "{topic}"', f'{key} = "{own}"')
    config.write_text(text + "\n[watch]\ncanary = false\n")
    new_key("privacy", tmp_path / "privacy.key")
    return config


def test_a_rehearsed_attack_reaches_the_receiver_and_each_stage_says_when(live: Path, database: TestDatabase) -> None:
    environ = os.environ | {"TUERMER_DB": database.server.passwords()["tuermer_daemon"]}
    with ExitStack() as stack:
        for role in ("route", "score"):
            stack.enter_context(running(live, role, database.server))
        entered = [stage.name for stage in drill(live, environ, "stadt", "brute-force")]
        scanned = [stage.name for stage in drill(live, environ, "stadt", "port-scan")]
    assert entered == ["raw topic", "ROUTE", "SCORE", "receiver"]
    assert scanned == ["raw topic", "ROUTE", "SCORE", "notification"]  # not urgent: the tenant is still learning
    titles = [str(title) for (title,) in database.rows("SELECT title_de FROM public.incidents")]
    assert all("tuermer-drill" in title for title in titles)
    with pytest.raises(DrillError, match=r"no .*topics.* of the tenant dorf takes lines"):
        next(iter(drill(live, environ, "dorf", "port-scan")))
