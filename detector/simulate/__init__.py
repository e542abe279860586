"""A simulated city: its people, devices and attackers, as raw log lines in the devices' own formats.

`City(seed).window(i)` gives ten minutes of lines as `Records` and the truth about each line. Below it, in the order in
which a line comes about: `places`, `outside`, `estate`, `roles`, `people`, `whereabouts` and `clock` (who is where and when)
→ `traffic`, `background`, `logins`, `cloud`, `services` (honest), `attacks` and `happenings` → `devices` and `hosts` (who
writes it down) → `wireformats` and `wire` (bytes).
"""

from detector.simulate.attacks import KINDS, SHOW, STRENGTHS, TAKEOVERS, Attack, Placed
from detector.simulate.city import TOPICS, City, SimulatedWindow
from detector.simulate.happenings import Happening
from detector.simulate.output import Labels, bulk, produce, write
from detector.simulate.people import CityError

__all__ = [
    "KINDS", "SHOW", "STRENGTHS", "TAKEOVERS", "TOPICS", "Attack", "City", "CityError", "Happening", "Labels", "Placed",
    "SimulatedWindow", "bulk", "produce", "write",
]  # fmt: skip
