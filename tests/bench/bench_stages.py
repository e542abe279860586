"""Where the time goes: µs of processor time per event and stage, in one process, on the mixture of the whole's bench."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from detector import daemon, features
from detector.config import Account, Config, Network, Topic
from detector.decode import Decoder, ecs
from detector.judge.core import Core, judge
from detector.judge.models import score
from detector.privacy import MemoryKeyring, Privacy
from detector.simulate import bulk

Answer = TypeVar("Answer")
LINES, BATCH = 400_000, 20_000
CONFIG = Config(
    topics=[Topic(name="*", tenant="stadt", site="rathaus")],
    networks=[Network(cidr="10.0.0.0/8", kind="client"), Network(cidr="10.0.10.0/24", kind="server")],
    accounts=[Account(pattern="svc-*", kind="service")],
)


class Clock:
    """Processor time per stage."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def time(self, stage: str, call: Callable[[], Answer]) -> Answer:
        started = time.process_time()
        answer = call()
        self.spent[stage] = self.spent.get(stage, 0.0) + time.process_time() - started
        return answer


def main() -> None:
    decoder, privacy, core = Decoder.of(CONFIG), Privacy.of(CONFIG, MemoryKeyring()), Core.of(CONFIG)
    state = core.fresh("stadt/rathaus")
    clock, events = Clock(), 0
    for number, records in enumerate(bulk(LINES, chunk=BATCH)):
        if number == 1:  # the first batch compiles
            clock, events = Clock(), 0
        decoded = clock.time("ROUTE decode", lambda r=records: decoder.decode(r))  # type: ignore[misc]  # a lambda's default has no annotation
        frames = clock.time("ROUTE privacy", lambda d=decoded: privacy.pseudonymise(d))  # type: ignore[misc]  # likewise
        messages = clock.time("ROUTE to Arrow", lambda f=frames: [m for frame in f.values() for m in daemon.split(frame)])  # type: ignore[misc]  # likewise
        for message in messages:
            frame = clock.time("SCORE from Arrow", lambda m=message: ecs.from_arrow(m))  # type: ignore[misc]  # likewise
            rows = clock.time("SCORE features", lambda f=frame: features.step(state.features, f, core.models.tables))  # type: ignore[misc]  # likewise
            scored = clock.time("SCORE forests and tails", lambda r=rows: score(r, core.models))  # type: ignore[misc]  # likewise
            clock.time("SCORE judge", lambda f=frame, s=scored: judge(state, f, s, core.models))  # type: ignore[misc]  # likewise
            events += len(frame)
    for stage, seconds in clock.spent.items():
        print(f"{stage:<26} {seconds / events * 1e6:6.2f} µs per event")
    print(f"{'together':<26} {sum(clock.spent.values()) / events * 1e6:6.2f} µs per event ({events:,} events)")
    entities, size = core.size(state)
    print(f"{entities:,} entities, {size / max(1, entities):,.0f} bytes each with the filters")


if __name__ == "__main__":
    main()
