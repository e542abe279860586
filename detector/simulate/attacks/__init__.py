"""Labelled attacks: which there are, how each is planned, and how one is placed into a city.

`plot` says what an attack is; `scans`, `guessing`, `takeovers`, `movement`, `outflow` and `combined` plan and write them.
An attack depends on the seed, its day and its name alone; the honest city around it stays as it is without it.
"""

from detector.simulate.attacks.catalogue import KINDS, PLANNERS, SHOW, TAKEOVERS, Placed, check, chosen
from detector.simulate.attacks.plot import STRENGTHS, Attack, Scene

__all__ = ["KINDS", "PLANNERS", "SHOW", "STRENGTHS", "TAKEOVERS", "Attack", "Placed", "Scene", "check", "chosen"]
