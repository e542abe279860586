"""What the privacy report says, as plain data: gathered from the catalogues of the database and from Grafana, kept, compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from detector import packs
from detector.config import Config
from detector.privacy import fields
from detector.store import audit
from detector.store.database import Connection, moment
from detector.store.retention import signed_text

Document = dict[str, Any]
COMPARED = ("config", "fields", "stores", "readers", "grafana", "excluded")
EXCLUDED: Mapping[str, str] = {  # de: en
    "Keine Auswertung von Verhalten oder Leistung: keine Arbeitszeiten, keine Anwesenheit, keine Mengen je Person.": (
        "No evaluation of behaviour or performance: no working hours, no presence, no amounts by person."
    ),
    "Keine Rangliste und keine Liste nach Personen; kein Bild und keine Kennzahl ist nach Personen gegliedert.": (
        "No ranking and no list by person; no panel and no metric is grouped by person."
    ),
    "Kein Profil: das Pseudonym einer Person gilt von 05:00 bis 05:00 Uhr und ist am nächsten Tag ein anderes.": (
        "No profile: a person's pseudonym holds from 05:00 to 05:00 and is another one the next day."
    ),
    "Keine Gruppe unter fünf Personen wird genannt.": "No group of fewer than five people is named.",
    "Kein Name ohne zwei Berechtigte verschiedener Gruppen, außer wo der Notfallzugang eingerichtet ist.": (
        "No name without two authorised people of different groups, except where break-glass is configured."
    ),
    "Keine Sperre und keine andere Folge ohne die Entscheidung eines Menschen.": (
        "No block and no other consequence without a person's decision."
    ),
    "Was über Bedienstete der IT-Sicherheit protokolliert wird, ist Anmeldename und Zeit und dient nur dem Nachweis.": (
        "What is logged about security staff is login and time, and serves as proof only."
    ),
}
READERS = """
    SELECT r.rolname::text, r.rolsuper, r.rolbypassrls, r.rolcanlogin, k.kind, k.tenant, k.scope,
        array_agg(n.nspname || '.' || c.relname ORDER BY n.nspname, c.relname)
    FROM pg_roles AS r
    CROSS JOIN pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN store.tenant_roles AS k ON k.role = r.rolname
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND r.rolname !~ '^pg_' AND has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_any_column_privilege(r.oid, c.oid, 'SELECT')
    GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1
"""


def gather(connection: Connection, config: Config, environ: Mapping[str, str], now: int) -> Document:
    """The report. `connection`: of whoever owns the tables, so that nothing is hidden from it."""
    return {
        "made": moment(now).isoformat(),
        "config": _config(config),
        "fields": _fields(),
        "stores": [*_stores(connection, config), *_outside(config)],
        "readers": _readers(connection),
        "grafana": _grafana(config, environ),
        "excluded": [{"de": de, "en": en} for de, en in EXCLUDED.items()],
        "deletions": _deletions(connection),
        "openings": _openings(connection),
        "holds": _one(connection, "SELECT count(*) FROM store.holds WHERE ended IS NULL AND expires > now()"),
    }


def _config(config: Config) -> Document:
    return {
        "person_memory": config.privacy.person_memory,
        "pack": config.privacy.pack,
        "agreement": config.privacy.agreement,
        "tenants": {entry.name: {"pack": entry.pack, "agreement": entry.agreement} for entry in config.tenants},
        "opening_groups": list(config.opening.groups),
        "break_glass": config.opening.break_glass_key_file != "",
    }


def _fields() -> dict[str, dict[str, str]]:
    kinds = (("plain", fields.ALWAYS), ("plain or token", fields.SOMETIMES), ("keyed hash", fields.NEVER))
    return {name: {"kind": kind, "de": packs.german_fields()[name], "en": what} for kind, table in kinds for name, what in table.items()}


def _stores(connection: Connection, config: Config) -> Iterator[Document]:
    """Every table of the catalogue, with what is declared about it; one that nobody declared shows as such."""
    days, own = packs.periods(config)
    rows = connection.execute(
        """
        SELECT n.nspname || '.' || c.relname, k.period, k.purpose_de, k.purpose_en,
            (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN store.keepings AS k ON n.nspname = 'store' AND k.relation = c.relname
        WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        ORDER BY 1
        """
    ).fetchall()
    for name, period, de, en, columns in rows:
        if name == "public.migrations":
            period, de, en = "state", "Versionen des Schemas", "versions of the schema"
        yield {
            "where": f"database {name}",
            "purpose": {"de": de or "nicht erklärt", "en": en or "not declared"},
            "days": None if period in (None, "state") else {"": days[period]} | {t: d[period] for t, d in own.items() if period in d},
            "columns": columns,
        }


def _outside(config: Config) -> Iterator[Document]:
    days = config.retention
    if config.kafka is not None:
        for topic, number, de, en in (
            (
                config.kafka.events_topic,
                days.events,
                "pseudonyme Ereignisse auf dem Weg zur Auswertung",
                "pseudonymous events on their way",
            ),
            (config.kafka.dead_letters_topic, days.dead_letters, "Unlesbares, versiegelt", "what nobody could read, sealed"),
            (config.kafka.alerts_topic, days.evidence, "Auffälligkeiten für andere Programme", "incidents for other programs"),
        ):
            yield {"where": f"Kafka {topic}", "purpose": {"de": de, "en": en}, "days": {"": number}, "columns": []}
    if config.grafana.url != "":
        purpose = {"de": "Urteile als Anmerkungen", "en": "verdicts as annotations"}
        yield {"where": "Grafana annotations", "purpose": purpose, "days": {"": days.annotations}, "columns": []}


def _readers(connection: Connection) -> dict[str, Document]:
    found = {}
    for role, superuser, bypass, login, kind, tenant, scope, relations in connection.execute(READERS).fetchall():
        label = role if tenant is None else f"{kind} {tenant} ({role})"
        sees = "everything" if superuser or bypass else "all tenants" if scope in (None, "all") else f"tenant {tenant}" if tenant else scope
        found[label] = {"login": login, "sees": sees, "reads": ["*"] if superuser else relations}
    return found


def _grafana(config: Config, environ: Mapping[str, str]) -> dict[str, dict[str, str]] | None:
    """Organisation -> login -> role, as Grafana itself says; None where it cannot be asked."""
    if config.grafana.url == "":
        return None
    from detector.grafana import tokens  # late: its HTTP library costs a third of a second
    from detector.grafana.adapter import Trouble

    admin = tokens.admin(config.grafana, environ)
    if admin is None:
        return None
    try:
        with admin as grafana:
            return {
                str(org["name"]): {str(user["login"]): str(user["role"]) for user in grafana.call("GET", f"/orgs/{int(org['id'])}/users")}
                for org in grafana.call("GET", "/orgs")
            }
    except Trouble:
        return None


def _deletions(connection: Connection) -> list[Document]:
    rows = connection.execute(
        "SELECT id, ended, document, signature IS NOT NULL FROM store.deletion_runs WHERE ended IS NOT NULL ORDER BY id DESC LIMIT 7"
    ).fetchall()
    return [
        {
            "run": run,
            "ended": ended.isoformat(),
            "signed": signed,
            "rows": sum(line["rows"] for line in msgspec.json.decode(document)["deleted"]),
        }
        for run, ended, document, signed in rows
    ]


def _openings(connection: Connection) -> dict[str, dict[str, int]]:
    rows = connection.execute(
        "SELECT to_char(requested, 'YYYY-MM'), state || CASE WHEN break_glass THEN ' (break-glass)' ELSE '' END, count(*)"
        " FROM store.openings GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    months: dict[str, dict[str, int]] = {}
    for month, state, count in rows:
        months.setdefault(month, {})[state] = count
    return months


def _one(connection: Connection, sql: str) -> int:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return int(row[0])


def kept(connection: Connection, document: Document, key: Ed25519PrivateKey, now: int) -> None:
    """Keeps the report with its signature: the next one is compared with it."""
    stored = msgspec.json.encode(document)
    connection.execute(
        "INSERT INTO store.privacy_reports (made, document, key, signature) VALUES (%s, %s, %s, %s)",
        (moment(now), stored.decode(), audit.fingerprint(key.public_key()), key.sign(signed_text(stored))),
    )
    audit.append(connection, audit.Entry("", "daemon", "privacy.report", "", {}), now)


def last(connection: Connection, key: Ed25519PublicKey | None) -> Document | None:
    """The last signed report; `broken` is set in it when its signature is not ours. None: there is none."""
    row = connection.execute("SELECT document, signature FROM store.privacy_reports ORDER BY number DESC LIMIT 1").fetchone()
    if row is None:
        return None
    document: Document = msgspec.json.decode(row[0])
    try:
        if key is not None:
            key.verify(bytes(row[1]), signed_text(row[0].encode()))
    except InvalidSignature:
        document["broken"] = True
    return document


def changes(before: Document | None, after: Document) -> list[Document]:
    """What differs, as {"what", "before", "after"}; None on either side: it was not there, it is gone."""
    if before is None:
        return []
    found: list[Document] = [{"what": "signature of the last report", "before": "good", "after": "broken"}] if before.get("broken") else []
    old, new = (dict(line for part in COMPARED for line in _flat(part, document.get(part))) for document in (before, after))
    different = [what for what in sorted(old.keys() | new.keys()) if old.get(what) != new.get(what)]
    return found + [{"what": what, "before": old.get(what), "after": new.get(what)} for what in different]


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Leaves by their path; entries of a list by what they are, so that an order means nothing."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{path} {key}".strip(), inner)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, Mapping):
                name = str(inner.get("where", inner.get("en", "")))
                yield from _flat(f"{path} {name}", {k: v for k, v in inner.items() if k not in ("where", "de", "en")} or "yes")
            else:
                yield f"{path} {inner}", "yes"
    else:
        yield path, str(value)
