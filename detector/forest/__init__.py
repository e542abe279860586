"""Isolation forests as plain arrays: fitted by PyOD, scored insertion-aware, explained by the same definition.

`fit` → `Forest` (trees.py what is stored, walk.py the definition, rowsets.py the fast way, both equal to the bit)
→ `detector.Detector` (forest + one-sided tails → one p-value) → `artefact` (arrays + signed manifest on disk).
"""

from detector.forest.fitting import fit
from detector.forest.scoring import Forest

__all__ = ["Forest", "fit"]
