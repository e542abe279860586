"""Who can open names changes: people come and go, keys are lost, a tenant leaves."""

from __future__ import annotations

from detector.config import Config
from detector.opening.requests import Side, UnsealError, route_key
from detector.privacy.people import Person, holders
from detector.store import audit, links
from detector.store.audit import Entry
from detector.store.database import Database


def rotate(database: Database, config: Config, person: Person, group: str, tenant: str, now: int) -> list[str]:
    """Seals the group's part of every slot to its people of now. `person` must be one of them. Raises UnsealError."""
    side = Side.of(config, person, tenant)
    if side.group != group:
        raise UnsealError(f"{side.holder.name} is of the group {side.group}: somebody of {group} has to do this")
    members = [holder for holder in holders(config) if holder.of(group, tenant)]
    with database.transaction() as connection:
        done = links.rotate(connection, tenant, person, group, members, route_key(config))
        details = {"group": group, "slots": done.slots, "closed": done.closed, "members": len(members)}
        audit.append(connection, Entry(tenant, side.holder.name, "links.rotate", group, details), now)
    lines = [f"{done.slots} slots are sealed to {', '.join(sorted(member.name for member in members))} of {group}"]
    if done.former != ():
        lines.append(f"no longer: {', '.join(done.former)}; who kept a copy of the database and the old key still has them")
    if done.closed > 0:
        lines.append(f"{done.closed} slots were never sealed to {side.holder.name}: another one of {group} has to do this for them")
    return lines


def shred(database: Database, tenant: str, by: str, now: int) -> str:
    """Deletes the tenant's key and links. Raises UnsealError when there is none, or nobody says who does it."""
    if by.strip() == "":
        raise UnsealError("say who shreds the links: --by LOGIN")
    with database.transaction() as connection:
        counts = links.shred(connection, tenant)
        if counts["link_tenants"] == 0:
            raise UnsealError(f"there are no links of {tenant}")
        audit.append(connection, Entry(tenant, by, "links.shred", tenant, counts), now)
    return f"{counts['links']} links of {tenant} are gone; copies of them, without the key of {tenant}, open to nobody"
