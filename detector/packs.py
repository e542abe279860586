"""Policy packs: files that set what the configuration leaves open, and lock what it may not go beyond.

`[privacy] pack` holds for everybody, `[[tenants]] pack` for one tenant. The files lie in privacy/packs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from detector.config import Config

FOLDER = Path(__file__).parent / "privacy" / "packs"
OF_TENANT = ("evidence", "links", "incidents", "training", "audit")  # days that a tenant may have of its own


class Limit(Struct, frozen=True, forbid_unknown_fields=True):
    """Of one setting: the greatest number, the only texts, whether it must be given; of lists what each entry must have."""

    most: int | None = None
    only: list[str] | None = None
    given: bool = False
    all: bool = False  # every tenant that is read is listed
    of_tenants: bool = False  # every keyholder is some tenants' own


class Pack(Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    title: dict[str, str]
    values: dict[str, int | str]
    limits: dict[str, Limit]


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.toml") if "." not in file.stem)


@lru_cache
def pack(name: str) -> Pack:
    return msgspec.toml.decode((FOLDER / f"{name}.toml").read_bytes(), type=Pack)


@lru_cache
def german_fields() -> Mapping[str, str]:
    """What the privacy report says of each field of an event, in German."""
    return msgspec.toml.decode((FOLDER / "fields.de.toml").read_bytes(), type=dict[str, str])


def filled(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The file's content with the pack's values where it says nothing. Whatever is not of the right shape stays for others to name."""
    wanted = raw.get("privacy", {})
    name = wanted.get("pack", "") if isinstance(wanted, dict) else ""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in raw.items()}
    for setting, value in _values(name).items():
        section, _, key = setting.partition(".")
        table = result.setdefault(section, {})
        if isinstance(table, dict):
            table.setdefault(key, value)
    if isinstance(raw.get("tenants"), list):
        result["tenants"] = [_tenant(entry) for entry in raw["tenants"]]
    return result


def _tenant(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    own = {setting.partition(".")[2]: value for setting, value in _values(entry.get("pack", "")).items()}
    return {key: value for key, value in own.items() if key in OF_TENANT} | entry


def _values(name: object) -> Mapping[str, int | str]:
    return pack(name).values if isinstance(name, str) and name in names() else {}


def contradictions(config: Config) -> Iterator[str]:
    """One sentence, German and English, for each setting that goes beyond its pack."""
    yield from _tenants(config)
    if config.privacy.pack != "":
        yield from _of_pack("privacy.pack", config.privacy.pack, config, "")
    for number, tenant in enumerate(config.tenants, 1):
        if tenant.pack != "":
            yield from _of_pack(f"tenants[{number}].pack", tenant.pack, config, tenant.name)


def _tenants(config: Config) -> Iterator[str]:
    """Names and days that make no sense, whatever the pack."""
    read = {topic.tenant for topic in config.topics} | {observer.tenant for observer in config.observers if observer.tenant != ""}
    for number, entry in enumerate(config.tenants, 1):
        if read != set() and entry.name not in read:
            yield f"tenants[{number}].name {entry.name} is not a tenant of any of [[topics]]"
        if entry.name in [other.name for other in config.tenants[: number - 1]]:
            yield f"tenants[{number}].name {entry.name} is listed twice"
    common, own = periods(config)
    for where, days in [("retention", common), *((f"tenants {tenant}", common | days) for tenant, days in own.items())]:
        if days["incidents"] < days["evidence"]:
            yield f"{where}.incidents {days['incidents']} is less than {where}.evidence {days['evidence']}: evidence belongs to an incident"


def _of_pack(key: str, name: str, config: Config, tenant: str) -> Iterator[str]:
    if name not in names():
        yield f"{key} {name} gibt es nicht, nur {', '.join(names())}. / {key} {name} does not exist, only {', '.join(names())}"
        return
    for setting, limit in pack(name).limits.items():
        for where, value in _settings(config, setting, tenant):
            yield from _beyond(name, where, value, limit)
        if limit.all or limit.of_tenants:
            yield from _lists(name, config, limit, tenant)


def _settings(config: Config, setting: str, tenant: str) -> Iterator[tuple[str, Any]]:
    """Where the setting stands and what it is: for one tenant its own where it has one, for a pack of all also every tenant's."""
    section, _, key = setting.partition(".")
    if key == "":
        return
    common = getattr(getattr(config, section), key)
    own = [(f"tenants[{n}].{key}", getattr(t, key, 0)) for n, t in enumerate(config.tenants, 1) if tenant in ("", t.name)]
    given = [(where, value) for where, value in own if value not in (0, "")] if section == "retention" or key == "agreement" else []
    if tenant == "" or given == []:
        yield setting, common
    yield from given


def _beyond(name: str, where: str, value: Any, limit: Limit) -> Iterator[str]:
    if limit.most is not None and value > limit.most:
        yield _both(name, f"{where} höchstens {limit.most}, eingestellt ist {value}", f"{where} at most {limit.most}, it is {value}")
    if limit.only is not None and value not in limit.only:
        only = " oder ".join(f'"{text}"' for text in limit.only), " or ".join(f'"{text}"' for text in limit.only)
        yield _both(name, f'{where} = {only[0]}, eingestellt ist "{value}"', f'{where} = {only[1]}, it is "{value}"')
    if limit.given and value == "":
        yield _both(name, f"die Nummer der Dienstvereinbarung in {where}", f"the number of the works agreement in {where}")


def _lists(name: str, config: Config, limit: Limit, tenant: str) -> Iterator[str]:
    read = {topic.tenant for topic in config.topics} | {observer.tenant for observer in config.observers if observer.tenant != ""}
    missing = sorted(read - {entry.name for entry in config.tenants})
    if limit.all and missing != [] and tenant == "":
        yield _both(name, f"einen Eintrag [[tenants]] für {missing[0]}", f"an entry [[tenants]] for {missing[0]}")
    loose = [holder.name for holder in config.keyholders if holder.tenants == [] and set(holder.groups) & set(config.opening.groups)]
    if limit.of_tenants and loose != []:
        yield _both(
            name,
            f"für {loose[0]} in [[keyholders]] die eigenen Mandanten (tenants)",
            f"tenants of its own for {loose[0]} in [[keyholders]]",
        )


def _both(name: str, de: str, en: str) -> str:
    return f"Das Regelpaket {name} verlangt {de}. / The policy pack {name} demands {en}"


def periods(config: Config) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Days by key of [retention], and by tenant what differs there."""
    common = {name: int(getattr(config.retention, name)) for name in config.retention.__struct_fields__}
    own = {entry.name: {key: getattr(entry, key) for key in OF_TENANT if getattr(entry, key) > 0} for entry in config.tenants}
    return common, {tenant: days for tenant, days in own.items() if days != {}}
