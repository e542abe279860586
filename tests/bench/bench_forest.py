"""The forest's speed beside scikit-learn's, and what the insertion-aware score finds that the plain one does not.

`python -m tests.bench.bench_forest`: rows a second on one core, candidates interleaved, best of several; then recall at
0.1 % false positives and average precision over ADBench's sets in ../shared, clean training, where they are present.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from detector.features.table import ModelTable, parse
from detector.forest import Forest, fit
from detector.learn.train import train

F64 = NDArray[np.float64]
ADBENCH = Path(__file__).parents[3] / "shared" / "datasets" / "adbench"
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


def adbench() -> list[tuple[str, float, float, float, float]]:
    """(set, recall at 0.1 % false positives plain and insertion-aware, average precision likewise); two seeds each."""
    return [(path.stem, *np.mean([one_set(path, seed) for seed in (0, 1)], axis=0)) for path in sorted(ADBENCH.glob("*.npz"))]


def one_set(path: Path, seed: int) -> tuple[float, float, float, float]:
    """At most 5,000 normal rows train; the other normals, at most 6,000, and at most 1,500 anomalies test (detection.md 10)."""
    with np.load(path, allow_pickle=False) as data:
        X, y = data["X"].astype(np.float64), data["y"].astype(np.int64)
    rng = np.random.default_rng(seed)
    normal, odd = rng.permutation(np.flatnonzero(y == 0)), rng.permutation(np.flatnonzero(y == 1))[:1500]
    training = normal[: min(5000, len(normal) // 2)]
    test = np.concatenate([normal[len(training) :][:6000], odd])
    forest = fit(X[training], seed=seed)
    plain, ours = forest.plain_score(X[test]), forest.score(X[test])
    label = y[test]
    return recall(plain, label), recall(ours, label), average_precision_score(label, plain), average_precision_score(label, ours)


def recall(score: F64, label: NDArray[np.int64], false_positives: float = 1e-3) -> float:
    """Share of anomalies above the threshold that this share of normals exceeds."""
    normal = np.sort(score[label == 0])[::-1]
    return float((score[label == 1] > normal[int(false_positives * len(normal))]).mean())


def _table(features: int) -> ModelTable:
    head = 'name = "bench"\nentity = "source.ip"\nmembers = ["forest", "tail_sum", "tail_max"]\nthreshold = 3e-4\n'
    texts = 'title.de = "x"\ntitle.en = "x"\n'
    one = '[[features]]\nname = "f{}"\ntext.de = "x"\ntext.en = "x"\nunit = "times"\ndirection = "high"\ntechnique = "T1046"\n'
    return parse((head + texts + "".join(one.format(j) for j in range(features))).encode(), "bench")


def latency(forest: Forest) -> float:
    """Microseconds for one row alone."""
    row = np.zeros((1, forest.features), np.float32)
    best = np.inf
    for _ in range(200):
        start = time.perf_counter()
        forest.score(row)
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def report() -> list[str]:
    measured = rates()
    stock = measured["scikit-learn score_samples"]
    lines = [f"{name:38s} {rate / 1e6:6.2f} M rows/s  x {rate / stock:5.1f}" for name, rate in measured.items()]
    lines += [f"one row alone {latency(fit(np.random.default_rng(0).normal(size=(5000, 16)))):.1f} us"]
    if not ADBENCH.is_dir():
        return [*lines, "no ../shared/datasets/adbench: detection not measured"]
    table = adbench()
    lines += ["set              recall at 0.1 % FPR: plain, insertion-aware    average precision: plain, insertion-aware"]
    for name, *figures in [*table, ("mean", *np.mean([row[1:] for row in table], axis=0))]:
        lines += ["{:16s} {:28.3f} {:8.3f} {:38.3f} {:8.3f}".format(name, *figures)]
    return lines


def main() -> None:
    sys.stdout.write("\n".join(report()) + "\n")


if __name__ == "__main__":
    main()
