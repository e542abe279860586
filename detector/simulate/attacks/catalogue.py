"""Names of attacks, and how one is placed into a city by name, strength, day and seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from detector.simulate.attacks import combined, guessing, movement, outflow, scans, takeovers
from detector.simulate.attacks.plot import STRENGTHS, Attack, Scene
from detector.simulate.people import CityError

Planner = Callable[[Scene], Attack]
_MAIN: Mapping[str, Planner] = {
    "port-scan": scans.port_scan,
    "slow-scan": scans.slow_scan,
    "brute-force": guessing.brute_force,
    "password-spraying": guessing.spraying,
    "stuffing": guessing.stuffing,
    "takeover-night": takeovers.night,
    "takeover-office": takeovers.office_hours,
    "lateral-movement": movement.lateral_movement,
    "kerberos-tickets": movement.kerberos_tickets,
    "beaconing": outflow.beaconing,
    "exfiltration": outflow.exfiltration,
    "slow-exfiltration": outflow.slow_exfiltration,
    "odd-hour-hosts": combined.odd_hour_hosts,
    "odd-service": combined.odd_service,
    "odd-path": combined.odd_path,
}
_LAB: Mapping[str, Planner] = {  # the episodes by which takeovers are measured, one kind at a time
    "takeover-far": takeovers.far,
    "takeover-near-rare": takeovers.near_rare,
    "takeover-near-common": takeovers.near_common,
    "takeover-night-far": takeovers.night_far,
    "takeover-night-near": takeovers.night_near,
    "takeover-lateral": takeovers.lateral,
}
PLANNERS: Mapping[str, Planner] = {**_MAIN, **_LAB}
KINDS, TAKEOVERS = tuple(_MAIN), tuple(_LAB)
SHOW = ("port-scan", "password-spraying", "brute-force", "beaconing")  # those of the demonstration


class Placed(NamedTuple):
    """One attack by name, on a local day since the city's start; equal ones are equal to the byte.

    hour: when it begins on the wall, None = at hours that are its own.
    """

    attack: str
    strength: str = "usual"
    day: int = 1
    seed: int = 0
    hour: float | None = None


def check(name: str, strength: str = "usual") -> None:
    """Raises CityError for an unknown attack or strength."""
    if name not in PLANNERS:
        raise CityError(f"no attack is called {name}; there are {', '.join(PLANNERS)}")
    if strength not in STRENGTHS:
        raise CityError(f"an attack is {', '.join(STRENGTHS)}, not {strength}")


def chosen(names: str | Sequence[str]) -> tuple[str, ...]:
    """The attacks meant by "all", "show", "none", one name or several; raises CityError for an unknown one."""
    if isinstance(names, str) and names in ("all", "show", "none"):
        return {"all": KINDS, "show": SHOW, "none": ()}[names]
    wanted = (names,) if isinstance(names, str) else tuple(names)
    for name in wanted:
        check(name)
    return wanted
