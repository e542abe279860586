"""`tuermer backtest`: days at full speed through the product's own steps, labelled attacks among them, and what came of it.

`placing` decides where the attacks stand → `stream` brings the city's events and the truth about each → `running` makes the
features, once, and lets every one of the `rivals` judge the same rows; what they say goes into a `ledger` and a `tally` →
`matching` tells which incident speaks of which attack → `measures` turns that into figures → `report` shows them.
Nothing here scores or groups by itself: that is `features.step`, a `Scorer` and `judge`, as in the daemon.
"""

from detector.learn.backtest.campaign import Report, run
from detector.learn.backtest.placing import BacktestError, Calendar, Plan

__all__ = ["BacktestError", "Calendar", "Plan", "Report", "run"]
