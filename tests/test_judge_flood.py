"""A flood of never-seen sources is one incident about their network, not one for each of them."""

from __future__ import annotations

import pytest

from detector.judge.core import Core
from detector.judge.findings import Incident
from tests.eventgen import Row, events, flow
from tests.stub import stub_models
from tests.test_features_network import DAY, OFFICE, spoofed, working

# Whoever is refused once is flagged: without pooling each spoofed source would open an incident of its own.
NERVOUS = {"firewall-source": {"new_sources_10m": 6.0, "denies_1m": -3.0}}


def incidents(rows: list[Row], limits: dict[str, dict[str, float]]) -> list[Incident]:
    core = Core(stub_models(limits))
    state = core.fresh("stadt/rathaus")
    core.step(state, events(working()))
    return list(core.step(state, events(rows)).opened)


def test_a_flood_from_an_inside_network_is_one_incident_that_names_it() -> None:
    (found,) = incidents(spoofed(6_000, 3 * DAY), {"firewall-source": {"new_sources_10m": 6.0}})
    assert (found.family, found.entity_kind, found.entity_value) == ("flood", "source.network", "office")
    assert found.title["de"] == "Eine Flut nie gesehener Quelladressen kommt aus dem Netz office"
    assert found.reasons[0].feature == "new_sources_10m"
    assert found.events > 4_000


def test_a_flood_from_outside_is_named_by_its_surroundings() -> None:
    rows = [
        flow(3 * DAY + i * 0.01, f"198.51.{i // 250}.{i % 250}", "10.0.9.2", 443, direction="inbound", action="denied")
        for i in range(6_000)
    ]
    (found,) = incidents(rows, {"firewall-source": {"new_sources_10m": 6.0}})
    assert (found.family, found.entity_value) == ("flood", "198.51.0.0/16")


@pytest.mark.parametrize("sources", [3_000, 20_000])
def test_however_many_they_are_incidents_end_where_the_flood_is_noticed(sources: int) -> None:
    found = incidents(spoofed(sources, 3 * DAY, action="denied"), NERVOUS)
    assert 900 < len(found) < 1_400
    assert sum(one.entity_kind == "source.network" for one in found) == 1


def test_who_goes_on_working_in_the_flood_is_judged_alone() -> None:
    known = flow(3 * DAY + 61, "10.0.0.1", "10.0.9.1", 445, **OFFICE, action="denied")
    found = incidents([*spoofed(5_000, 3 * DAY), known], {"firewall-source": {"new_sources_10m": 6.0, "denies_1m": -3.0}})
    assert sorted({one.entity_kind for one in found}) == ["source.ip", "source.network"]
    assert "10.0.0.1" in {one.entity_value for one in found}
