"""What stored words are called on a dashboard, with a sign and a colour each: nothing relies on the colour alone."""

from __future__ import annotations

from detector.grafana.panels import Word, Words
from detector.grafana.setting import Setting

# Red only where somebody has to act. The signs are those of the daemon's own page.
RED, ORANGE, YELLOW, BLUE, GREEN = "red", "orange", "yellow", "blue", "green"


def moment(s: Setting) -> str:
    """Grafana's unit for a time of these days."""
    return s.t("time:DD.MM. HH:mm", "time:D MMM HH:mm")


def date(s: Setting) -> str:
    """The same with its year."""
    return s.t("time:DD.MM.YY HH:mm", "time:D MMM YY HH:mm")


def severities(s: Setting) -> Words:
    return {
        "critical": Word(s.t("▲ kritisch", "▲ critical"), RED),
        "high": Word(s.t("● hoch", "● high"), "dark-orange"),
        "medium": Word(s.t("◐ mittel", "◐ medium"), YELLOW),
        "low": Word(s.t("○ niedrig", "○ low"), BLUE),
    }


def levels(s: Setting) -> Words:
    """The same as text in a table: yellow and blue letters would be hard to read on white."""
    calm = {"medium", "low"}
    return {name: Word(word.text) if name in calm else word for name, word in severities(s).items()}


def statuses(s: Setting) -> Words:
    return {
        "open": Word(s.t("offen", "open")),
        "in-work": Word(s.t("in Arbeit", "in work")),
        "confirmed": Word(s.t("bestätigt (Vorfall)", "confirmed (incident)")),
        "closed": Word(s.t("geschlossen", "closed")),
        "expired": Word(s.t("abgelaufen, nicht angesehen", "expired, not looked at")),
    }


def entered(s: Setting) -> Words:
    return {"yes": Word(s.t("▲ JA", "▲ YES"), RED), "no": Word(s.t("nein", "no")), "unknown": Word(s.t("unbekannt", "unknown"))}


def verdicts(s: Setting) -> Words:
    return {
        "confirmed": Word(s.t("bestätigt", "confirmed")),
        "false-positive": Word(s.t("Fehlalarm", "false alarm")),
        "allowed": Word(s.t("erlaubt", "allowed")),
        "in-work": Word(s.t("in Arbeit", "in work")),
        "retracted": Word(s.t("zurückgenommen", "taken back")),
        "closed": Word(s.t("geschlossen", "closed")),
        "note": Word(s.t("Notiz", "note")),
        "ticket": Word("Ticket"),
        "owner": Word(s.t("zuständig", "owner")),
    }


def fields(s: Setting) -> Words:
    """ECS fields, as people call them."""
    return {
        "source.ip": Word(s.t("Quelle", "source")),
        "destination.ip": Word(s.t("Ziel", "destination")),
        "destination.port": Word(s.t("Zielport", "destination port")),
        "host.name": Word(s.t("Rechner", "host")),
        "user.name": Word(s.t("Konto (verdeckt)", "account (hidden)")),
        "user.target.name": Word(s.t("Zielkonto (verdeckt)", "target account (hidden)")),
        "observer.name": Word(s.t("gemeldet von", "reported by")),
        "event.outcome": Word(s.t("Ergebnis", "outcome")),
        "event.action": Word(s.t("was geschah", "what happened")),
    }


def matched(s: Setting) -> Words:
    """As what a searched term was found."""
    return fields(s) | {"entity": Word(s.t("es selbst", "itself")), "id": Word(s.t("Nummer", "id"))}


def kinds(s: Setting) -> Words:
    """Of an object, or of what links two incidents."""
    return {
        "service": Word(s.t("Dienst oder Rechner", "service or host")),
        "source.ip": Word(s.t("Adresse", "address")),
        "source.network": Word(s.t("Netz", "network")),
        "address": Word(s.t("gemeinsame Adresse", "shared address")),
        "account": Word(s.t("gemeinsames Konto (nicht genannt)", "shared account (not named)")),
        "host": Word(s.t("gemeinsamer Rechner", "shared host")),
        "self": Word(s.t("diese", "this one")),
    }


def searched(s: Setting) -> Words:
    """Where a term was found, or why not: only what belongs to an anomaly is stored at all."""
    return {
        "incident": Word(s.t("Auffälligkeit", "anomaly")),
        "evidence": Word(s.t("Beleg", "evidence")),
        "near-miss": Word(s.t("knapp darunter", "just below")),
        "nothing": Word(s.t("✗ nicht gespeichert", "✗ not stored")),
        "token": Word(s.t("✗ nicht suchbar", "✗ not searched")),
        "wide": Word(s.t("✗ zu groß", "✗ too large")),
    }
