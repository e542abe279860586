"""ATT&CK techniques, the families that make one incident out of many, and how severe an incident is."""

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
    "T1041": EXFILTRATION, "T1048": EXFILTRATION, "T1567": EXFILTRATION, "T1567.002": EXFILTRATION,
    "T1078": ACCESS, "T1021": LATERAL, "T1498": FLOOD,
}  # fmt: skip

WIDE = 10  # hosts or accounts reached
# The rule as it is printed on the page and in the README; `severity` is the same as code.
SEVERITY_RULE = {
    "de": "Kritisch: eine Anmeldung gelang nach vielen Fehlversuchen. Hoch: wo Passwörter probiert wurden, kam jemand hinein. "
    "Mittel: eine ungewöhnliche Anmeldung gelang, oder es kommt von innen und ist seltener als 1 von 10.000. "
    "Niedrig: alles andere, auch was nur von außen anklopft. "
    "Je eine Stufe höher: von innen und seltener als 1 von 100.000; von innen und breit (ab 10 Rechnern oder Konten); "
    "Ziel in einem Netz, das als kritisch eingetragen ist. Höchstens hoch, solange niemand hineinkam.",
    "en": "Critical: a login succeeded after many failures. High: someone got in where passwords were being tried. "
    "Medium: an unusual login succeeded, or it comes from inside and is rarer than 1 in 10,000. "
    "Low: everything else, also what only knocks from outside. "
    "One level higher for each of: from inside and rarer than 1 in 100,000; from inside and wide (10 hosts or accounts or more); "
    "the target lies in a network marked critical. At most high as long as nobody got in.",
}
LEVELS: tuple[Severity, ...] = ("low", "medium", "high", "critical")


def severity(family: str, worst_p: float, got_in: str, *, outside: bool = False, critical: bool = False, spread: int = 0) -> Severity:
    """SEVERITY_RULE as code. `outside`: the entity is a service attacked from outside; `critical`: its network is marked so."""
    inside = not outside
    if family == GOT_IN:
        level = 3
    elif got_in == "yes" and family not in (ACCESS, LATERAL):
        level = 2
    else:
        level = 1 if got_in == "yes" or (inside and worst_p <= 1e-4) else 0
    level += (inside and worst_p <= 1e-5) + (inside and spread >= WIDE) + critical
    return LEVELS[min(level, 3 if got_in == "yes" else 2)]
