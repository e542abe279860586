"""Fixtures that several rooms use."""

import warnings

with warnings.catch_warnings():
    # kafka-python 3.0.12 reads its schemas by deprecated functions while it is imported; nothing of ours is hidden by this.
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    import kafka as _kafka  # noqa: F401  # imported here once, so that no test meets the warning

from tests.broker import broker, kafka_session
from tests.postgres import any_database, database, debian_server, postgres_server

__all__ = ["any_database", "broker", "database", "debian_server", "kafka_session", "postgres_server"]
