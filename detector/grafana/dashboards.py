"""The four dashboards in one language, as Grafana's API takes them (v1 schema, without id and version)."""

from __future__ import annotations

from detector.grafana import objects, oneincident, operation, situation
from detector.grafana.panels import Json
from detector.grafana.setting import Setting


def dashboards(s: Setting) -> list[Json]:
    """Lage (the home), Auffälligkeit, Objekt, Betrieb."""
    return [situation.dashboard(s), oneincident.dashboard(s), objects.dashboard(s), operation.dashboard(s)]
