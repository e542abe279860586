"""SCORE as a process of its own, with the counting core, small turns and frequent snapshots: made to be killed.

`python -m tests.score_process ADDRESS GROUP TOPIC DATABASE_URL INSTANCE`; ends on SIGTERM.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading

from detector import lanes, scorer
from detector.config import Kafka
from detector.judge.policy import Policy
from detector.lanes import Tools
from detector.scorer import Scorer
from detector.store import Store
from tests.counting import START, CountingCore


def main(address: str, group: str, topic: str, url: str, instance: str) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    scorer.MESSAGES_PER_TURN = 5
    lanes.SNAPSHOT_PAUSE = 0.02
    lanes.SNAPSHOT_SHARE = 0.3
    config = Kafka(bootstrap_servers=address, group=group, events_topic=topic, instance=instance)
    consumer = scorer.consumer(config, session_s=6)
    with contextlib.closing(consumer), contextlib.closing(Store(url, Policy(learning_days=0))) as store:
        Scorer(consumer, topic, CountingCore(), Tools(store, lambda: START, stop.wait, owner=instance)).run(stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
