"""A candidate beside the champion: what both would have said about a sample of whole entities, kept apart from what is said.

The champion's rows are scored already; the candidate scores those of every fourth entity (of services, of which there are few,
two in five), and never more than BUDGET of all (a single busy source may be most of a stream): beyond it rows are left out.
Who is in the sample, and what is left out, follows from the stream alone, so that a replay says the same and the cut of
batches changes nothing (I1).
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from detector.features import Rows
from detector.judge.findings import NO_PROBABILITY
from detector.judge.models import Scored, Scorer
from detector.judge.shard import Shadow

SHARE, SHARE_OF_SERVICES = 0.25, 0.4  # of entities
BUDGET, SLACK = 0.4, 512  # of the champion's rows that the candidate may score; rows at the start that do not count
LEVEL = 1e-3  # at which the alert rate is counted
_MIX = np.uint64(0x9E3779B97F4A7C15)


def sampled(shadow: Shadow, model: str, rows: Rows) -> NDArray[np.bool_]:
    """bool (m): rows that the candidate scores; counts them in `shadow`. Each candidate has a sample of its own."""
    mixed = (rows.entity ^ np.uint64(int(shadow.digest[:16] or "0", 16))) * _MIX
    share = SHARE_OF_SERVICES if model in NO_PROBABILITY else SHARE
    wish = (mixed ^ (mixed >> np.uint64(29))) * _MIX >> np.uint64(40) < np.uint64(share * (1 << 24))
    of, wished = shadow.rows + np.arange(1, len(wish) + 1), shadow.wished + np.cumsum(wish)
    shadow.rows, shadow.wished = int(of[-1]), int(wished[-1])
    chosen: NDArray[np.bool_] = wish & (wished <= BUDGET * of + SLACK)
    return chosen


def part(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    """The chosen rows; what a rule says is the same on both sides and is left out."""
    taken = Rows(*(getattr(rows, field.name)[chosen] for field in fields(Rows)))
    return replace(taken, rule=np.zeros(len(taken.row), np.bool_))


def both(scored: Scored, chosen: NDArray[np.bool_], candidate: Scorer) -> tuple[Scored, Scored]:
    """(candidate's, champion's) scores of the chosen rows."""
    rows = part(scored.rows, chosen)
    s, p, _ = candidate.score(rows.X)
    return Scored(rows, s, p), Scored(rows, scored.s[chosen], scored.p[chosen])


def alerts(scored: Scored) -> int:
    return int(((scored.p <= LEVEL) & (scored.rows.weight > 0)).sum())
