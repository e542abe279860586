"""Memory of a shard that is full: 500,000 entities and more, each with all that can be kept; RSS of the process."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np

from detector.features import FeatureState, bloom, slab
from detector.features import state as remembered

PAGE = resource.getpagesize()


def rss() -> float:
    """MB of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def main() -> None:
    before = rss()
    state = FeatureState.fresh(500_000)
    slabs = [value for memory in (state.network, state.logins) for value in memory if isinstance(value, slab.Slab)]
    grown = [slab.grown_to_limit(one) for one in slabs]
    for one in grown:
        one.word[:] = 1  # every page is touched
        one.places[:] = 1
    layers = [np.ones(bloom.MOST_WORDS, np.uint64) for _ in range(4)]
    entities = sum(len(one.word) for one in (grown[0], grown[1], grown[6], grown[9]))
    print(f"interpreter and libraries         {before:8.0f} MB")
    print(f"all rows of a full shard          {rss() - before:8.0f} MB, {entities:,} sources, pairs, accounts and as much beside them")
    print(f"of that four full filters         {sum(one.nbytes for one in layers) / 1e6:8.0f} MB")
    print(f"largest row                       {max(8 * one.word.shape[1] for one in grown):8d} bytes")
    print(f"resident, all in all              {rss():8.0f} MB (limit 1,000)")
    assert remembered.size(state)[0] == 0


if __name__ == "__main__":
    main()
