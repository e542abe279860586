"""The verdict buttons: each posts one dashboard annotation in the user's own session; the daemon collects and applies it.

The ids come from our database, and every other text in a body is fixed: Grafana pastes values into the body as they are.
"""

from __future__ import annotations

import json

from detector.grafana.model import VERDICTS
from detector.grafana.panels import Json
from detector.grafana.setting import Setting

WORD = "tuermer-verdict"  # the tag that the daemon asks for


def first(s: Setting) -> list[Json]:
    """For one incident; four, because that is what a phone shows beside the severity."""
    return [
        _button(
            "confirmed",
            s.t("Bestätigt", "Confirmed"),
            s.t(
                "Als Vorfall bestätigen? Er bleibt offen, bis ihn jemand schließt, und wird nicht zum Lernen benutzt.",
                "Confirm as an incident? It stays open until somebody closes it, and nothing is learnt from it.",
            ),
        ),
        _button(
            "false-positive",
            s.t("Fehlalarm", "False alarm"),
            s.t(
                "Als Fehlalarm schließen? Türmer lernt daraus; nichts wird unterdrückt.",
                "Close as a false alarm? Türmer learns from it; nothing is suppressed.",
            ),
        ),
        _button(
            "allowed",
            s.t("Erlaubt", "Allowed"),
            s.t(
                "Als erlaubt schließen und dasselbe 30 Tage lang nicht melden? "
                "In den letzten 30 Tagen hätte das ${__data.fields.one_hidden} verdeckt.",
                "Close as allowed and not report the same for 30 days? "
                "Of the last 30 days this would have hidden ${__data.fields.one_hidden}.",
            ),
        ),
        _button(
            "in-work",
            s.t("In Arbeit", "In work"),
            s.t("Ich kümmere mich darum (gilt 8 Stunden)?", "I am looking after it (for 8 hours)?"),
        ),
    ]


def more(s: Setting) -> list[Json]:
    """For one incident, seldom needed."""
    return [
        _button(
            "closed",
            s.t("Schließen", "Close"),
            s.t(
                "Einen bestätigten Vorfall schließen? Nur Bestätigtes lässt sich so schließen.",
                "Close a confirmed incident? Only what was confirmed is closed this way.",
            ),
        ),
        _button(
            "retracted",
            s.t("Zurück", "Take back"),
            s.t("Alles zurücknehmen, was zu dieser Auffälligkeit geurteilt wurde?", "Take back all that was judged about this anomaly?"),
        ),
    ]


def alike(s: Setting) -> list[Json]:
    """For all open ones with the same technique and reason signature; before, it says how many."""
    all_of = s.t(
        "Das schließt ${__data.fields.alike_open} offene gleicher Technik und gleicher Gründe",
        "This closes ${__data.fields.alike_open} open ones with the same technique and reasons",
    )
    hidden = s.t(
        "; von den letzten 30 Tagen hätte es ${__data.fields.alike_hidden} verdeckt",
        "; of the last 30 days it would have hidden ${__data.fields.alike_hidden}",
    )
    return [
        _button(
            "false-positive",
            s.t("Alle: Fehlalarm", "All: false alarm"),
            f"{all_of}. {s.t('Alle als Fehlalarm schließen?', 'Close all as false alarms?')}",
            group=True,
        ),
        _button(
            "allowed",
            s.t("Alle: erlaubt", "All: allowed"),
            f"{all_of}{hidden}. {s.t('Alle als erlaubt schließen?', 'Close all as allowed?')}",
            group=True,
        ),
        _button(
            "in-work",
            s.t("Alle: in Arbeit", "All: in work"),
            s.t(
                "Alle ${__data.fields.alike_open} gleichartigen in Arbeit nehmen?", "Take all ${__data.fields.alike_open} alike into work?"
            ),
            group=True,
        ),
    ]


def _button(word: str, title: str, question: str, *, group: bool = False) -> Json:
    tags = [WORD, f"verdict:{word}", "incident:${__data.fields.id}", *(["scope:alike"] if group else [])]
    body = {"dashboardUID": VERDICTS, "tags": tags, "text": word}
    return {
        "type": "fetch",
        "title": title,
        "confirmation": question,
        "oneClick": False,
        "fetch": {
            "method": "POST",
            "url": "/api/annotations",
            "queryParams": [],
            "headers": [["Content-Type", "application/json"]],
            "body": json.dumps(body, separators=(",", ":")),
        },
    }
