"""Fixtures that several rooms use."""

import warnings

import pytest

with warnings.catch_warnings():
    # kafka-python 3.0.12 reads its schemas by deprecated functions while it is imported; nothing of ours is hidden by this.
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    import kafka as _kafka  # noqa: F401  # imported here once, so that no test meets the warning

from detector.sources.broker import missing
from tests.broker import broker, kafka_session
from tests.postgres import any_database, database, debian_server, postgres_server

__all__ = ["any_database", "broker", "database", "debian_server", "kafka_session", "postgres_server"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all Kafka tests that could not run (in CI they fail instead, see tests/broker.py)."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "kafka" in report.keywords]
    if skipped and missing() != "":
        terminalreporter.write_line(f"{len(skipped)} Kafka tests skipped: {missing()}")
