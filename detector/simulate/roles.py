"""What people do in the city: forty role groups with their hours, their work at home and their own servers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Role(NamedTuple):
    """A department. `share` weighs how many of a site's people are in it."""

    name: str
    site: int
    share: float
    begins: float = 7.8  # usual hour on the wall
    home: float = 0.35  # share of days at home
    public: bool = False  # serves citizens at the counter
    shifts: bool = False  # somebody is there day and night
    travels: float = 0.03  # share of weeks with a journey
    crew: bool = False  # five people share a computer
    pace: float = 1.0


ROLES = (
    Role("it", 0, 0, 8.2, 0.5), Role("buergerbuero", 0, 9, 7.5, 0.08, public=True), Role("bauamt", 0, 6), Role("sozialamt", 0, 7, 7.6, 0.3, public=True),
    Role("jugendamt", 0, 7, 8.0, 0.4, travels=0.05), Role("ordnungsamt", 0, 5, 7.0, 0.2), Role("kaemmerei", 0, 4, 7.8, 0.55),
    Role("personal", 0, 4, 7.8, 0.5), Role("kasse", 0, 3, 7.4, 0.4), Role("standesamt", 0, 2, 7.8, 0.05, public=True),
    Role("schulamt", 0, 3), Role("rechtsamt", 0, 2, 8.4, 0.55, travels=0.06), Role("wohngeld", 0, 3, 7.6, 0.4, public=True),
    Role("gesundheitsamt", 0, 4, 7.8, 0.25), Role("umweltamt", 0, 2, 7.8, 0.45, travels=0.06), Role("liegenschaften", 0, 2),
    Role("stadtplanung", 0, 3, 8.4, 0.55, travels=0.05), Role("presse", 0, 1, 8.6, 0.5, travels=0.08), Role("vorstand", 0, 1, 8.3, 0.3, travels=0.2),
    Role("kultur", 0, 2, 8.8, 0.35, travels=0.05), Role("bibliothek", 0, 3, 9.0, 0.05, public=True), Role("poststelle", 0, 1, 6.8, 0.0),
    Role("auslaenderamt", 0, 3, 7.5, 0.15, public=True), Role("feuerwehr", 0, 4, 7.0, 0.0, shifts=True, pace=0.4), Role("sport", 0, 1),
    Role("it-bauhof", 1, 0, 7.4, 0.3), Role("strasse", 1, 7, 6.3, 0.0, crew=True, pace=0.3), Role("gruen", 1, 6, 6.3, 0.0, crew=True, pace=0.3),
    Role("abfall", 1, 6, 5.8, 0.0, crew=True, pace=0.25), Role("verwaltung-bauhof", 1, 4, 7.2, 0.3), Role("werkstatt", 1, 2, 6.8, 0.0, pace=0.6),
    Role("friedhof", 1, 2, 7.2, 0.05), Role("it-stadtwerke", 2, 0, 8.0, 0.5), Role("kundenservice", 2, 7, 7.8, 0.35, public=True),
    Role("abrechnung", 2, 5, 7.6, 0.55), Role("netzbetrieb", 2, 6, 7.0, 0.15, travels=0.03), Role("leitwarte", 2, 4, 6.0, 0.0, shifts=True, pace=0.8),
    Role("vertrieb", 2, 4, 8.6, 0.55, travels=0.15), Role("einkauf", 2, 2, 8.0, 0.5), Role("technik", 2, 4, 7.0, 0.1, pace=0.6),
)  # fmt: skip
OF_IT = tuple(next(k for k, role in enumerate(ROLES) if role.site == site) for site in range(3))


def offered(site: int, people: int) -> NDArray[np.int64]:
    """The departments that a site of so many people has, administrators aside: about one for every fifteen, the largest first."""
    here = [k for k, role in enumerate(ROLES) if role.site == site and role.share > 0]
    here.sort(key=lambda k: -ROLES[k].share)
    return np.array(here[: max(2, people // 15)], np.int64)
