"""The forest's speed beside scikit-learn's in the same run, and what one row with its reasons costs.

`python -m tests.bench.bench_forest`: rows a second on one core (CPU time), candidates interleaved, best of several. With
`NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx,+avx2,+bmi,+bmi2,+popcnt,+fma` it shows what a machine without AVX-512 does.
How well it detects is `bench_detection`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from sklearn.ensemble import IsolationForest

from detector.features.table import ModelTable, parse
from detector.forest import fit
from detector.learn.train import train

ROWS, REPEATS = 65_536, 5


def rates(features: int = 16) -> dict[str, float]:
    """Rows a second of CPU time, by candidate."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, features)).astype(np.float32)
    forest = fit(X)
    model = IsolationForest(n_estimators=100, max_samples=256, random_state=0).fit(X)
    detector = train(_table(features), X[: ROWS // 2], X[ROWS // 2 :]).detector
    wide = X.astype(np.float64)
    candidates: dict[str, Callable[[], object]] = {
        "scikit-learn score_samples": lambda: model.score_samples(X),
        "ours, plain": lambda: forest.plain_score(X),
        "ours, insertion-aware": lambda: forest.score(X),
        "ours, insertion-aware, all rows odd": lambda: forest.score(X * np.float32(3)),
        "detector: clamp, forest, tails, p": lambda: detector.score(wide),
    }
    best = dict.fromkeys(candidates, np.inf)
    for _ in range(REPEATS):
        for name, run in candidates.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    return {name: ROWS / seconds for name, seconds in best.items()}


def _table(features: int) -> ModelTable:
    head = 'name = "bench"\nentity = "source.ip"\nmembers = ["forest", "tail_sum", "tail_max"]\nthreshold = 3e-4\n'
    texts = 'title.de = "x"\ntitle.en = "x"\n'
    one = '[[features]]\nname = "f{}"\ntext.de = "x"\ntext.en = "x"\nunit = "times"\ndirection = "high"\ntechnique = "T1046"\n'
    return parse((head + texts + "".join(one.format(j) for j in range(features))).encode(), "bench")


def latencies(features: int = 16) -> dict[str, float]:
    """Microseconds for one row alone, best of many."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, features))
    forest, detector = fit(X), train(_table(features), X[:10_000], X[10_000:]).detector
    odd = X[:1] * 4
    return {
        "forest score": fastest(lambda: forest.score(odd)),
        "forest score and contributions": fastest(lambda: (forest.score(odd), forest.contributions(odd))),
        "detector: s, p, member": fastest(lambda: detector.score(odd)),
        "detector: who spoke, and reasons": fastest(lambda: detector.explain(odd[0])),
    }


def fastest(run: Callable[[], object]) -> float:
    best = np.inf
    for _ in range(300):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def report() -> list[str]:
    measured = rates()
    stock = measured["scikit-learn score_samples"]
    lines = [f"{name:38s} {rate / 1e6:6.2f} M rows/s  x {rate / stock:5.1f}" for name, rate in measured.items()]
    return lines + [f"one row, {name:30s} {micros:6.1f} us" for name, micros in latencies().items()]


def main() -> None:
    sys.stdout.write("\n".join(report()) + "\n")


if __name__ == "__main__":
    main()
