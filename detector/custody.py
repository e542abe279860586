"""Commands about who has a login and what is deleted, beside a running daemon."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from detector import desk
from detector.config import Config
from detector.configcheck import NAME
from detector.configload import load
from detector.night import Night
from detector.sentence import Sentence
from detector.store import audit, tenancy
from detector.store.database import Connection, visit
from detector.store.opening import open_database
from detector.store.tenancy import Login


class CustodyError(Sentence):
    """The command could not do its work; the text is one sentence."""


def add_tenant(path: Path, name: str, out: Path, environ: Mapping[str, str], now: int) -> list[Path]:
    """Makes the logins and the files that hand them over. Raises CustodyError, StoreError."""
    with _administering(path, environ) as (config, url), _written(name, config, out) as places:
        made = tenancy.add(url, name, now)
        _record(url, name, "tenant.add", now)
        return _fill(made, places)


def renew_tenant(path: Path, name: str, out: Path, environ: Mapping[str, str], now: int) -> list[Path]:
    """New passwords in new files."""
    with _administering(path, environ) as (config, url), _written(name, config, out) as places:
        made = tenancy.renew(url, name)
        _record(url, name, "tenant.renew", now)
        return _fill(made, places)


def remove_tenant(path: Path, name: str, environ: Mapping[str, str], now: int) -> list[str]:
    """The names of the roles that are gone."""
    with _administering(path, environ) as (_, url):
        gone = tenancy.remove(url, name)
        _record(url, name, "tenant.remove", now)
        return gone


@contextlib.contextmanager
def _administering(path: Path, environ: Mapping[str, str]) -> Iterator[tuple[Config, str]]:
    config = load(path, environ, "score")
    opened = open_database(config, environ, visit=True)
    try:
        yield config, opened.admin_url
    finally:
        opened.close()


@contextlib.contextmanager
def _written(name: str, config: Config, out: Path) -> Iterator[dict[str, int]]:
    """Open files for the logins, before any login exists: a password that cannot be kept must not be made."""
    known = {topic.tenant for topic in config.topics} | {observer.tenant for observer in config.observers if observer.tenant != ""}
    if NAME.fullmatch(name) is None or name not in known:
        raise CustodyError(f"{name} is not a tenant of any of [[topics]].")
    handles: dict[str, int] = {}
    try:
        for kind in tenancy.KINDS:
            place = out / f"{name}.{kind}.login"
            try:
                handles[str(place)] = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                raise CustodyError(f"{place} exists and is not overwritten; name another folder with --out.") from None
            except OSError as error:
                raise CustodyError(f"{place} cannot be made: {error.strerror}.") from None
        yield handles
    except BaseException:
        for made in handles:
            os.unlink(made)
        raise
    finally:
        for handle in handles.values():
            os.close(handle)


def _fill(made: Sequence[Login], places: Mapping[str, int]) -> list[Path]:
    by_name = {Path(place).name: (Path(place), handle) for place, handle in places.items()}
    done = []
    for login in made:
        name, content = login.file()
        place, handle = by_name[name]
        os.write(handle, content.encode())
        done.append(place)
    return done


def _record(url: str, tenant: str, action: str, now: int) -> None:
    with visit(url) as connection:
        audit.append(connection, audit.Entry(tenant, _login(connection), action, tenant, {}), now)


def _login(connection: Connection) -> str:
    return f"{os.environ.get('SUDO_USER') or os.environ.get('USER') or connection.info.user}"


def night(path: Path, environ: Mapping[str, str], now: int) -> dict[str, Any]:
    """Deletes what is past its time; the record. Raises CustodyError when the daemon is just doing so."""
    with desk.visiting(path, environ) as (config, database):
        record = Night.of(config, database, environ).run(now)
    if record is None:
        raise CustodyError("The daemon is deleting just now; its record will be the last one in the privacy report.")
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return plain


def record_lines(record: Mapping[str, Any]) -> list[str]:
    lines = [f"run {record['run']}: {sum(line['rows'] for line in record['deleted'])} rows deleted, {record['holds']} legal holds in force"]
    for line in record["deleted"]:
        whose = line["tenant"] or "all"
        lines.append(f"{line['rows']:>9}  {whose:<20} {line['relation']:<20} {line['first'] or ''} .. {line['last'] or ''}")
    return lines
