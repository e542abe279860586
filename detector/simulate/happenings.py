"""What may happen to a city beside attacks, each switched on by itself: none of it is an attack, all of it looks odd."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.simulate import clock, places
from detector.simulate.clock import HOUR, MINUTE
from detector.simulate.people import CityError, People
from detector.simulate.wire import Trouble

KINDS = ("growth", "new-site", "outage", "clock-skew", "duplicates")
_NEWCOMERS = 0.3  # of all people
_MOVED = 0.08  # of the town hall's
_OUTAGE = (9 * HOUR + 40 * MINUTE, 11 * HOUR + 10 * MINUTE)  # since midnight
_SKEW = HOUR
_DOUBLED = 0.05


class Happening(NamedTuple):
    """One of KINDS from local day `day` since the start on, for so many days; what has no end takes `days` to come about.

    growth       three in ten people are hired, evenly over the days
    new-site     one in twelve of the town hall's people moves into a building with a new network; for good
    outage       the town hall's FortiGate delivers nothing from 09:40 to 11:10
    clock-skew   the depot's gateway is an hour ahead, as after a mistaken time zone
    duplicates   one line in twenty of all devices arrives twice
    """

    kind: str
    day: int = 7
    days: int = 1


def chosen(wanted: Iterable[str | Happening]) -> tuple[Happening, ...]:
    """Names become happenings of day 7; raises CityError for an unknown one."""
    found = tuple(Happening(one) if isinstance(one, str) else one for one in wanted)
    for one in found:
        if one.kind not in KINDS:
            raise CityError(f"nothing is called {one.kind} that could happen to a city; there are {', '.join(KINDS)}")
    return found


def staff(happenings: Iterable[Happening], people: People, number: int) -> NDArray[np.bool_] | None:
    """Who is employed on local day `number`, None = everyone."""
    for one in happenings:
        if one.kind == "growth":
            progress = np.clip((number - one.day) / one.days, 0.0, 1.0)
            employed: NDArray[np.bool_] = people.hired >= _NEWCOMERS * (1.0 - progress)
            return employed
    return None


def moved(happenings: Iterable[Happening], people: People, number: int) -> NDArray[np.bool_] | None:
    """Who works in the new building on local day `number`, None = nobody."""
    opened = any(one.kind == "new-site" and number >= one.day for one in happenings)
    going: NDArray[np.bool_] = (people.site == places.RATHAUS) & (people.hired > 1.0 - _MOVED)
    return going if opened else None


def troubles(happenings: Iterable[Happening], first: date) -> tuple[Trouble, ...]:
    """What goes wrong with lines on their way; `first` is the city's first local day."""
    found = []
    for one in happenings:
        begin, end = (clock.midnight(first + timedelta(days=days)) for days in (one.day, one.day + one.days))
        if one.kind == "outage":
            found.append(Trouble("fortigate.", begin + _OUTAGE[0], begin + _OUTAGE[1], lost=True))
        elif one.kind == "clock-skew":
            found.append(Trouble("netfilter.", begin, end, ahead=_SKEW))
        elif one.kind == "duplicates":
            found.append(Trouble("", begin, end, doubled=_DOUBLED))
    return tuple(found)
