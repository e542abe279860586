"""What is held about a person (Art. 15 DSGVO): found by two people of two groups together, who open no other name for it.

Tokens of past days cannot be computed any more, so the person's rows are found by the link table's tags: each person contributes
what the other one's secrets lack, for this one name. The answer counts and dates what there is; it names no analyst.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from detector.config import Config
from detector.opening.requests import Side, UnsealError, route_key
from detector.packs import periods
from detector.privacy.people import Person
from detector.privacy.pseudonyms import Tenant
from detector.privacy.vault import combined
from detector.store import audit, links
from detector.store.audit import Entry
from detector.store.database import Connection, Database, moment

Document = dict[str, Any]
TEMPLATE = Path(__file__).parent / "auskunft.html"


def about(database: Database, config: Config, people: tuple[Person, Person], tenant: str, name: str, now: int) -> Document:
    """The answer as a document for JSON. Raises UnsealError when the two may not do this together."""
    sides = [Side.of(config, person, tenant) for person in people]
    if sides[0].holder.name == sides[1].holder.name or sides[0].group == sides[1].group:
        raise UnsealError("two people of two groups answer together; these two keys are of one person, or of one group")
    wanted = _written(config, tenant, name)
    with database.transaction() as connection:
        tokens, closed = _tokens(connection, people, tenant, wanted, route_key(config))
        common, own = periods(config)
        document = _document(connection, tenant, name, tokens, common | own.get(tenant, {}), now) | {
            "nicht_pruefbare_abschnitte": closed, "notfall_moeglich": config.opening.break_glass_key_file != "",
            "tage_der_ereignisse": common["events"],
        }  # fmt: skip
        who = "+".join(sorted(side.holder.name for side in sides))
        audit.append(connection, Entry(tenant, who, "auskunft", str(uuid.uuid4()), {"tokens": len(tokens)}), now)
    return document


def _written(config: Config, tenant: str, name: str) -> list[tuple[str, bytes]]:
    """(kind of token, value) of all that the name may have been sealed as."""
    known = Tenant(config, tenant)
    wanted = [("u", known.accounts.answer(name).name), ("h", known.hosts.answer(name)[1])]
    with contextlib.suppress(ValueError):
        wanted.append(("ip", str(ip_address(name.strip()))))
    return [(kind, value.encode("utf-8", "replace")) for kind, value in wanted]


def _tokens(
    connection: Connection,
    people: tuple[Person, Person],
    tenant: str,
    wanted: Sequence[tuple[str, bytes]],
    trusted: Ed25519PublicKey | None,
) -> tuple[list[tuple[int, str]], int]:
    """(epoch, token) of the person's links, and how many slots these two keys cannot ask."""
    slots = links.groups_of(connection, tenant)
    first, second = (links.held(connection, person, slots, tenant, trusted=trusted, strict=False) for person in people)
    tags: list[tuple[bytes, bytes]] = []
    closed = 0
    for slot, groups in slots.items():
        if slot not in first or slot not in second:
            closed += 1
            continue
        for kind, value in wanted:
            parts = first[slot].tag_parts(kind, value) | second[slot].tag_parts(kind, value)
            if set(parts) == set(groups):
                tags.append((slot, combined(parts.values())))
    return links.tagged(connection, tenant, tags), closed


def _document(
    connection: Connection, tenant: str, name: str, tokens: Sequence[tuple[int, str]], days: Mapping[str, int], now: int
) -> Document:
    purposes: dict[str, str] = dict(connection.execute("SELECT relation, purpose_de FROM store.keepings").fetchall())
    values = {"tenant": tenant, "tokens": [token for _, token in tokens], "epochs": [epoch for epoch, _ in tokens]}
    held = []
    for what, sql, relation, period in STORES:
        for day, entries, more in connection.execute(sql, values).fetchall():
            held.append(
                {
                    "was": what, "zweck": purposes[relation], "tag": day.isoformat(), "eintraege": entries, "angaben": more,
                    "wird_geloescht_ab": _deleted(day, days[period]),
                }
            )  # fmt: skip
    return {
        "person": name, "mandant": tenant, "stand": f"{moment(now):%Y-%m-%dT%H:%M:%SZ}", "gespeichert": held,
        "einsichten": _openings(connection, values), "profil": "nein",
        "tage_mit_kennung": len({epoch for epoch, _ in tokens}),
    }  # fmt: skip


STORES = (
    (
        "Kennung des Tages mit versiegeltem Namen",
        "SELECT l.day, count(*), array_agg(DISTINCT split_part(l.token, '-', 1)) FROM store.links AS l "
        "JOIN unnest(%(epochs)s::int[], %(tokens)s::text[]) AS t (epoch, token) ON t.epoch = l.epoch AND t.token = l.token "
        "WHERE l.tenant = %(tenant)s GROUP BY l.day ORDER BY l.day",
        "links", "links",
    ),
    (
        "Auffälligkeit, die von dieser Kennung handelt",
        "SELECT i.opened::date, count(*), array_agg(DISTINCT i.family) FROM store.incidents AS i "
        "WHERE i.tenant = %(tenant)s AND i.entity_value = ANY(%(tokens)s) GROUP BY 1 ORDER BY 1",
        "incidents", "evidence",
    ),
    (
        "Beleg einer Auffälligkeit mit dieser Kennung",
        "SELECT e.day, count(*), array_agg(DISTINCT e.field) FROM store.evidence AS e JOIN store.incidents AS i ON i.id = e.incident "
        "WHERE i.tenant = %(tenant)s AND e.value = ANY(%(tokens)s) GROUP BY e.day ORDER BY e.day",
        "evidence", "evidence",
    ),
    (
        "Ereignis hinter einer Auffälligkeit mit dieser Kennung",
        "SELECT s.day, count(*), array_agg(DISTINCT f.key) FROM store.samples AS s JOIN store.incidents AS i ON i.id = s.incident "
        "CROSS JOIN jsonb_each_text(s.fields) AS f WHERE i.tenant = %(tenant)s AND f.value = ANY(%(tokens)s) GROUP BY s.day ORDER BY s.day",
        "samples", "evidence",
    ),
)  # fmt: skip


def _openings(connection: Connection, values: Mapping[str, Any]) -> list[Document]:
    """When the person's name was opened and for which case; not by whom."""
    rows = connection.execute(
        """
        SELECT DISTINCT o.id, o.answered, o.case_number, o.break_glass
        FROM store.openings AS o JOIN store.opening_tokens AS t ON t.opening = o.id
        JOIN unnest(%(epochs)s::int[], %(tokens)s::text[]) AS w (epoch, token) ON w.epoch = t.epoch AND w.token = t.token
        JOIN store.audit AS a ON a.tenant = o.tenant AND a.subject = o.id::text AND a.action = 'opening.unlock'
        WHERE o.tenant = %(tenant)s ORDER BY o.answered
        """,
        values,
    ).fetchall()
    return [
        {"am": _day(answered), "vorgang": case, "zweck": "Prüfung einer Auffälligkeit", "notfall": alone}
        for _, answered, case, alone in rows
    ]


def _day(at: datetime | None) -> str:
    return "" if at is None else at.date().isoformat()


def _deleted(day: date, days: int) -> str:
    return (day + timedelta(days=days + 1)).isoformat()


def page(document: Document) -> str:
    """The answer as a plain German page to print."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["day"] = _german
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(a=document)


def _german(day: str) -> str:
    return f"{date.fromisoformat(day):%d.%m.%Y}" if day != "" else ""


def written(document: Document, folder: Path) -> list[Path]:
    """auskunft.json and auskunft.html in the folder, readable for their owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    files = {"auskunft.json": msgspec.json.format(msgspec.json.encode(document)), "auskunft.html": page(document).encode()}
    for name, content in files.items():
        path = folder / name
        path.touch(0o600)
        path.write_bytes(content)
        done.append(path)
    return done
