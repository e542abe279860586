"""Features and judge: µs per event, memory per entity, size and cost of a snapshot, compile time; beside a polars group_by."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import polars as pl

from detector.features import FeatureState, step
from detector.features import state as remembered
from detector.judge.core import Core
from tests.eventgen import noise
from tests.stub import stub_models

BATCH = 16_384


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process, fewer if others wait than wall seconds; the smaller of two runs."""
    times = []
    for _ in range(2):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def batches(frame: pl.DataFrame) -> list[pl.DataFrame]:
    return [frame[begin : begin + BATCH] for begin in range(0, len(frame), BATCH)]


def polars_yardstick(frame: pl.DataFrame) -> None:
    """One decayed-less hourly count per source and model: what the same question costs without state, as a query."""
    hour = pl.col("@timestamp").dt.truncate("1h")
    frame.group_by("source.ip.lo", hour).agg(pl.len(), pl.col("destination.port").n_unique(), pl.col("user.name").n_unique())


def main() -> None:
    models = stub_models()
    begin = time.process_time()
    step(FeatureState.fresh(), noise(100, 0), models.tables)
    print(f"compile or load the kernels       {time.process_time() - begin:8.1f} s CPU")
    frame = noise(200_000, 1, days=5, sources=5_000)
    parts = batches(frame)

    def features_only() -> None:
        state = FeatureState.fresh()
        for part in parts:
            step(state, part, models.tables)

    def whole() -> None:
        core = Core(models)
        state = core.fresh("bench")
        for part in parts:
            core.step(state, part)

    n = len(frame) / 1e6
    print(f"features.step                     {cpu(features_only) / n:8.2f} µs CPU per event")
    print(f"features, stub score and judge    {cpu(whole) / n:8.2f} µs CPU per event (about a third of all rows flagged)")
    print(f"polars group_by, one pass         {cpu(lambda: polars_yardstick(frame)) / n:8.2f} µs CPU per event")
    state = Core(models).fresh("bench")
    for part in parts:
        Core(models).step(state, part)
    entities, size = remembered.size(state.features)
    kept = Core(models).dump(state)
    seconds = cpu(lambda: Core(models).dump(state))
    print(f"memory                            {size / entities:8.0f} bytes per entity, filters included, {entities:,} entities")
    print(f"snapshot                          {len(kept) / 1e6:8.2f} MB, {seconds * 1e3:.0f} ms CPU")
    print(f"peak memory of the process        {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")


if __name__ == "__main__":
    main()
