"""What stays the same in a city from day to day, in one place for all who write its lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.simulate import estate, people, places
from detector.simulate.estate import Estate
from detector.simulate.people import People
from detector.simulate.wire import IPV6, Int64, Press


@dataclass(frozen=True, slots=True, eq=False)
class Town:
    """The city's people, servers and addresses; `press` owns every text."""

    press: Press
    seed: int
    sites: int
    people: People
    estate: Estate
    printers: int  # of each site
    world6: Int64  # servers of the world with IPv6

    @classmethod
    def of(cls, press: Press, seed: int, n: int, sites: int) -> Town:
        """Raises CityError for too few people or a wrong number of sites."""
        staff = people.hire(press, seed, n, sites)
        world6 = IPV6 + press.texts(f"2001:db8:ffff:{k:x}::443" for k in range(256))
        return cls(press, seed, sites, staff, estate.build(press, n, sites), 2 + n // 60, world6)

    def printer(self, person: Int64) -> Int64:
        """The address of the printer that each person uses."""
        found: Int64 = places.PRINTERS[self.people.site[person]] + person * 31 % self.printers
        return found

    def of_stadt(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Who belongs to the first tenant."""
        mine: np.ndarray[tuple[int], np.dtype[np.bool_]] = self.people.site != places.LEITSTELLE
        return mine
