"""What SCORE remembers of one shard."""

from __future__ import annotations

from dataclasses import dataclass, field

from detector.features import FeatureState
from detector.features.calendar import Calendar
from detector.features.state import BERLIN
from detector.judge.cases import Cases
from detector.judge.devices import Clocks
from detector.judge.reservoir import Reservoir


@dataclass(slots=True)
class Shadow:
    """A candidate that judges beside the champion, and what both would have said of the same sampled entities."""

    digest: str  # of its manifest
    candidate: Cases = field(default_factory=Cases)
    champion: Cases = field(default_factory=Cases)
    rows: int = 0  # the champion's, since the shadow began
    wished: int = 0  # of them, those of sampled entities


@dataclass(slots=True)
class ShardState:
    """All that SCORE remembers of one shard (tenant or tenant/site). Moved on in place by `score_step` and by inputs."""

    shard: str
    features: FeatureState
    cases: Cases
    clocks: Clocks = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)  # model -> digest of the one that judges here; absent: the shipped one
    shadows: dict[str, Shadow] = field(default_factory=dict)  # by model
    reservoir: Reservoir = field(default_factory=lambda: Reservoir.fresh(0, 0))

    @classmethod
    def fresh(cls, shard: str, entities: int = 500_000, calendar: Calendar = BERLIN, kept: int = 1000) -> ShardState:
        """`kept`: rows to learn from per model and hour, 0 = none."""
        return cls(shard, FeatureState.fresh(entities, calendar), Cases(), reservoir=Reservoir.fresh(entities, kept))
