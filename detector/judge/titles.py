"""What an incident is called: one line that says who does what to whom, in German and English."""

from __future__ import annotations

from collections.abc import Mapping

from detector.decode.ecs import DRILL
from detector.judge import entities
from detector.judge.families import ACCESS, CONTROL, CREDENTIALS, DISCOVERY, EXFILTRATION, FLOOD, GOT_IN, LATERAL

# By family and kind of entity: {0} is the entity, {1} the other end of the opening event.
_ACCOUNT = {"de": "Ungewöhnliche Anmeldung: Konto {0} auf {1}", "en": "Unusual login: account {0} on {1}"}
_ACTS: dict[str, dict[str, str]] = {  # an inside source, or an account
    CREDENTIALS: {"de": "{0} probiert Passwörter aus, zuerst auf {1}", "en": "{0} is trying passwords, first on {1}"},
    DISCOVERY: {"de": "{0} sucht das Netz ab", "en": "{0} is scanning the network"},
    CONTROL: {"de": "{0} meldet sich in gleichmäßigen Abständen bei {1}", "en": "{0} contacts {1} at regular intervals"},
    EXFILTRATION: {"de": "{0} sendet ungewöhnlich viele Daten nach außen", "en": "{0} is sending an unusual amount of data outside"},
    ACCESS: {"de": "Ungewöhnliche Anmeldung von {0} auf {1}", "en": "Unusual login from {0} on {1}"},
    LATERAL: {"de": "{0} greift auf ungewohnte Rechner oder Dienste zu", "en": "{0} is reaching for unfamiliar hosts or services"},
    FLOOD: {"de": "{0} baut ungewöhnlich viele Verbindungen auf", "en": "{0} is opening unusually many connections"},
}
_SUFFERS: dict[str, dict[str, str]] = {  # an attacked service
    CREDENTIALS: {"de": "Auf {0} werden Passwörter ausprobiert", "en": "Passwords are being tried on {0}"},
    DISCOVERY: {"de": "{0} wird von außen abgesucht", "en": "{0} is being scanned from outside"},
    CONTROL: {"de": "Gleichmäßige Verbindungen von außen zu {0}", "en": "Regular connections from outside to {0}"},
    EXFILTRATION: {"de": "Ungewöhnlich viele Daten zwischen {0} und außen", "en": "An unusual amount of data between {0} and outside"},
    ACCESS: {"de": "Ungewöhnliche Anmeldung auf {0}", "en": "Unusual login on {0}"},
    LATERAL: {"de": "Ungewohnte Zugriffe von außen auf {0}", "en": "Unfamiliar access from outside to {0}"},
    FLOOD: {"de": "Ungewöhnlich viele Verbindungen von außen zu {0}", "en": "Unusually many connections from outside to {0}"},
}
_FLOODS = {
    "de": "Eine Flut nie gesehener Quelladressen kommt aus dem Netz {0}",
    "en": "A flood of never-seen source addresses comes from the network {0}",
}
_ENTERED = {
    "de": "Anmeldung nach vielen Fehlversuchen gelungen: Konto {0} auf {1}, von {2}",
    "en": "Login succeeded after many failures: account {0} on {1}, from {2}",
}


_REHEARSED = {"de": "Übung", "en": "Drill"}
_WHO = ("host.name", "observer.name", "user.name", "user.target.name")
_NAMES = {"de": "Konto {0}", "en": "Account {0}"}


def title(family: str, kind: int, entity: str, event: dict[str, object]) -> dict[str, str]:
    """`event` is a row of the frame as a dict: the one that opened the incident. A rehearsed attack says that it is one."""
    shown = entities.fields(event)
    made = _title(family, kind, entity, shown)
    if DRILL in (shown.get(column) for column in _WHO):
        return {language: f"{_REHEARSED[language]}: {text}" for language, text in made.items()}
    return made


def _title(family: str, kind: int, entity: str, shown: dict[str, str | int]) -> dict[str, str]:
    account = str(shown.get("user.target.name", shown.get("user.name", "?")))
    host = str(shown.get("host.name", shown.get("observer.name", shown.get("event.dataset", "?"))))
    if family == GOT_IN:
        return {language: text.format(account, host, shown.get("source.ip", "?")) for language, text in _ENTERED.items()}
    if kind == entities.NETWORK:
        return {language: text.format(entity) for language, text in _FLOODS.items()}
    other = _destination(shown) if family == CONTROL else host
    if kind == entities.SERVICE:
        return {language: text.format(entity, other) for language, text in _SUFFERS[family].items()}
    if kind == entities.ACCOUNT and family == ACCESS:
        return {language: text.format(entity, other) for language, text in _ACCOUNT.items()}
    names = _NAMES if kind == entities.ACCOUNT else {"de": "{0}", "en": "{0}"}
    return {language: text.format(names[language].format(entity), other) for language, text in _ACTS[family].items()}


def _destination(shown: Mapping[str, str | int]) -> str:
    address, port = str(shown.get("destination.ip", "?")), shown.get("destination.port")
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
