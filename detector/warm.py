"""Compiles SCORE's kernels into the cache, while another process compiles ROUTE's: `make run` has two cores and little patience."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from detector.assembly import core
from detector.config import Config
from detector.decode import ecs

MARK = Path(os.environ["NUMBA_CACHE_DIR"]) / "score-compiled"  # written last; the folder alone says nothing, imports compile a little


def main() -> None:
    """Scores one empty-handed event of each kind; what matters is that every kernel has run once."""
    category = ecs.text(np.array([1, 2]), ["", "network", "authentication"])
    events = ecs.frame(2, {"event.category": category})
    judge = core(Config())
    state = judge.fresh("warm")
    judge.step(state, events)
    judge.load("warm", judge.dump(state))
    MARK.touch()


if __name__ == "__main__":
    main()
