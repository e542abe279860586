"""The embedded database has one owner at a time; commands beside it may visit."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.config import Config, Database
from detector.store import StoreError, open_database


def test_a_second_owner_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    config = Config(database=Database(directory=str(tmp_path / "postgres")))
    first = open_database(config, {})
    try:
        with pytest.raises(StoreError, match="Another Türmer is running with the embedded database in"):
            open_database(config, {})
        visitor = open_database(config, {}, visit=True)
        assert visitor.daemon_url == first.daemon_url
        visitor.close()
    finally:
        first.close()
    open_database(config, {}).close()
