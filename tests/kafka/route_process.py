"""ROUTE with the tests' simple step, as a process that can be killed: python -m tests.kafka.route_process CONFIG.json."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import msgspec

from detector.config import Config
from detector.daemon import route, stop_on_signals
from detector.pipeline import Routed
from detector.records import Records
from detector.sources.contract import SourceError
from tests import routing


def slow_step(records: Records) -> Routed:
    time.sleep(random.random() * 0.01)  # so that kills meet every stage of a batch
    return routing.step(records)


def main() -> int:
    config = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)
    try:
        route(config, slow_step, stop_on_signals())
    except SourceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
