"""ATT&CK techniques, the families that make one incident out of many, and what a family is called."""

from __future__ import annotations

from typing import Literal

Severity = Literal["low", "medium", "high", "critical"]

CREDENTIALS, DISCOVERY, CONTROL, EXFILTRATION, ACCESS, LATERAL, FLOOD, GOT_IN = FAMILIES = (
    "credential-access",
    "discovery",
    "command-and-control",
    "exfiltration",
    "initial-access",
    "lateral-movement",
    "flood",
    "success-after-failures",
)

FAMILY_OF = {
    "T1110.001": CREDENTIALS, "T1110.003": CREDENTIALS, "T1110.004": CREDENTIALS, "T1558": CREDENTIALS, "T1558.003": CREDENTIALS,
    "T1046": DISCOVERY, "T1595": DISCOVERY,
    "T1071": CONTROL, "T1571": CONTROL,
    "T1041": EXFILTRATION, "T1048": EXFILTRATION,
    "T1078": ACCESS, "T1021": LATERAL, "T1498": FLOOD,
}  # fmt: skip

# What it is called, and the word between it and the entity: {0} is the entity.
TITLES: dict[str, dict[str, str]] = {
    CREDENTIALS: {"de": "Passwörter werden ausprobiert: {0}", "en": "Passwords are being tried: {0}"},
    DISCOVERY: {"de": "Das Netz wird abgesucht: {0}", "en": "The network is being scanned: {0}"},
    CONTROL: {"de": "Regelmäßige Verbindungen zu einem seltenen Ziel: {0}", "en": "Regular connections to a rare destination: {0}"},
    EXFILTRATION: {"de": "Ungewöhnlich viele Daten gehen nach außen: {0}", "en": "Unusually much data goes outside: {0}"},
    ACCESS: {"de": "Ungewöhnliche Anmeldung: {0}", "en": "Unusual login: {0}"},
    LATERAL: {"de": "Zugriffe auf ungewohnte Ziele: {0}", "en": "Access to unfamiliar targets: {0}"},
    FLOOD: {"de": "Ungewöhnlich viele Verbindungen: {0}", "en": "Unusually many connections: {0}"},
    GOT_IN: {"de": "Erfolgreiche Anmeldung nach vielen Fehlversuchen: {0}", "en": "Successful login after many failures: {0}"},
}

# The rule as it is printed in the README.
SEVERITY_RULE = {
    "de": "kritisch: Anmeldung nach vielen Fehlversuchen gelungen · hoch: jemand kam hinein, oder von innen und seltener "
    "als 1 von 100.000 · mittel: von innen und seltener als 1 von 10.000 · niedrig: alles andere, auch was nur von außen anklopft · "
    "eine Stufe höher in Netzen, die als kritisch eingetragen sind (höchstens hoch, solange niemand hineinkam)",
    "en": "critical: a login succeeded after many failures · high: someone got in, or from inside and rarer than 1 in 100,000 · "
    "medium: from inside and rarer than 1 in 10,000 · low: everything else, also what only knocks from outside · "
    "one level higher in networks marked critical (at most high as long as nobody got in)",
}
LEVELS: tuple[Severity, ...] = ("low", "medium", "high", "critical")


def severity(family: str, worst_p: float, got_in: str, *, outside: bool = False, critical: bool = False) -> Severity:
    """SEVERITY_RULE as code. `outside`: the entity is a service attacked from outside; `critical`: its network is marked so."""
    level = _level(family, worst_p, got_in, outside=outside)
    highest = 3 if got_in == "yes" else 2
    return LEVELS[max(level, min(level + 1, highest))] if critical else LEVELS[level]


def _level(family: str, worst_p: float, got_in: str, *, outside: bool) -> int:
    if family == GOT_IN:
        return 3
    if got_in == "yes":
        return 2
    if outside:
        return 0  # an address that faces the internet is knocked at every day
    return 2 if worst_p <= 1e-5 else 1 if worst_p <= 1e-4 else 0
