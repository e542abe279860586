"""Step 4 of the journey: a few decayed counters per entity turn each event into vectors.

`step(state, events, tables)` is the only way in: firewall and login events go through one compiled pass each, in stream order.
`table` reads what a model's features are; `state` holds and keeps the memory of a shard.
"""

from detector.features.state import FeatureState, Rows, step

__all__ = ["FeatureState", "Rows", "step"]
