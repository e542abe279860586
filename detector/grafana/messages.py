"""The texts that Grafana's contact points send: a title, and per alert the five lines that the view wrote, the link and the runbook.

The lines are values to the template engine, so nothing in them is ever executed as a template.
"""

from __future__ import annotations

from detector.grafana.setting import Setting

NAME = "tuermer"


def templates(s: Setting) -> dict[str, str]:
    """Template groups by name. They define `tuermer.title` and `tuermer.body`."""
    return {NAME: _title(s) + "\n" + _body(s)}


def _title(s: Setting) -> str:
    over = s.t("Beendet", "Over")
    broken = s.t("Türmer: Regel ohne Auskunft", "Türmer: a rule without an answer")
    severity = "".join(f'{{{{ if eq . "{value}" }}}}{text}{{{{ end }}}}' for value, text in _severities(s).items())
    return (
        '{{ define "tuermer.severity" }}' + severity + "{{ end }}\n"
        '{{ define "tuermer.title" -}}\n'
        '{{ if eq .Status "resolved" }}' + over + ": {{ end -}}\n"
        "{{ with .CommonLabels.rulename }}" + broken + " ({{ . }}){{ else -}}\n"
        '{{ with .CommonLabels.severity }}{{ template "tuermer.severity" . }} {{ end -}}\n'
        "{{ if .CommonLabels.title }}{{ .CommonLabels.title }}{{ else }}{{ .CommonLabels.alertname }}{{ end -}}\n"
        "{{ end -}}\n"
        "{{ end }}"
    )


def _severities(s: Setting) -> dict[str, str]:
    return {
        "critical": s.t("▲ KRITISCH", "▲ CRITICAL"),
        "high": s.t("● hoch", "● high"),
        "medium": s.t("◐ mittel", "◐ medium"),
        "low": s.t("○ niedrig", "○ low"),
    }


def _body(s: Setting) -> str:
    judged = s.t(
        "Beendet: geschlossen, beurteilt oder nach 24 Stunden abgelaufen. Wie sie ausging, steht in der Auffälligkeit.",
        "Over: closed, judged, or expired after 24 hours. How it ended is in the anomaly.",
    )
    well = s.t("Wieder in Ordnung, oder ein neuer Tag hat begonnen.", "Well again, or a new day has begun.")
    broken = s.t(
        "Grafana konnte eine Regel nicht auswerten. Das ist keine Auffälligkeit: bitte Datenbank und Datenquelle prüfen.",
        "Grafana could not evaluate a rule. This is no anomaly: please check the database and the data source.",
    )
    return (
        '{{ define "tuermer.body" -}}\n'
        '{{ range .Alerts -}}\n'
        '{{ if eq .Status "resolved" }}{{ if .Labels.incident }}' + judged + "{{ else }}" + well + "{{ end }}\n{{ .Labels.title }}\n"
        '{{ else if .Labels.rulename }}' + broken + "\n{{ .Labels.rulename }}: {{ .Annotations.Error }}\n"
        '{{ else if .Annotations.summary }}{{ .Annotations.summary }}\n'
        "{{ else }}{{ .Labels.alertname }}\n"
        "{{ end -}}\n"
        "{{ with .Annotations.investigate_url }}{{ . }}\n{{ end -}}\n"
        "{{ with .Annotations.runbook_url }}" + s.t("Anleitung", "Runbook") + ": {{ . }}\n{{ end }}\n"
        "{{ end }}{{ end }}"
    )  # fmt: skip
