"""Reads one TOML file into `config.Config`, or ends with one sentence that names file and key (I9)."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    Field,
    IntType,
    ListType,
    LiteralType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    type_info,
)

from detector import configcheck, deskcheck, grafanacheck, grafanasections, openingcheck, packs
from detector.config import Config, ConfigError
from detector.configcheck import Role

FILES = {  # settings that name a file or folder; relative ones start at the folder of the configuration file
    "kafka": ("password_file", "ca_file", "cert_file", "key_file"),
    "database": ("password_file", "owner_password_file", "trainer_password_file", "directory"),
    "privacy": ("key_file", "roles_file", "aliases_file", "dead_letter_public_key"),
    "opening": ("break_glass_key_file", "break_glass_passphrase_file"),
    "audit": ("key_file", "anchor_file"),
    "enrichment": ("networks_file",),
    "grafana": ("ca_file", "directory", "admin_password_file", "database_ca_file"),
    "page": ("cert_file", "key_file"),
    "state": ("directory", "models"),
}
RECEIVER_FILES = ("secret_file", "ca_file", "cert_file", "key_file")


def load(path: Path, environ: Mapping[str, str] = os.environ, role: Role = "all") -> Config:
    """The configuration in `path`, free of contradictions, with all secrets and files that `role` needs.

    Raises ConfigError with exactly one sentence otherwise.
    """
    for sentence in _troubles(path, environ, role):
        raise ConfigError(f"{path.name}: {sentence}")
    raw = packs.filled(tomllib.loads(path.read_text("utf-8")))
    return _absolute(msgspec.convert(raw, Config), path.absolute().parent)


def secret(env_name: str, file: str, environ: Mapping[str, str] = os.environ) -> str:
    """A password from the named environment variable or file ("" when neither is named), without its line end."""
    if env_name != "":
        return environ[env_name]
    return Path(file).read_text("utf-8").rstrip("\r\n") if file != "" else ""


def _troubles(path: Path, environ: Mapping[str, str], role: Role) -> Iterator[str]:
    """What is wrong, worst first; later checks rely on the earlier ones having passed."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        yield "there is no such file"
        return
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        yield f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"
        return
    yield from _shape(raw, type_info(Config), "")
    config = _absolute(msgspec.convert(packs.filled(raw), Config), path.absolute().parent)
    yield from packs.contradictions(config)
    yield from configcheck.contradictions(config)
    yield from deskcheck.contradictions(config)
    yield from grafanacheck.contradictions(config)
    yield from openingcheck.contradictions(config)
    yield from openingcheck.missing(config, environ, role)
    yield from configcheck.missing(config, environ, role)
    if role != "route":
        yield from deskcheck.missing(config, environ)


def _absolute(config: Config, folder: Path) -> Config:
    changed: dict[str, Any] = {}
    for name, settings in FILES.items():
        part = getattr(config, name)
        if part is None:
            continue
        paths = {s: str(folder / getattr(part, s)) for s in settings if getattr(part, s) != ""}
        changed[name] = msgspec.structs.replace(part, **paths)
    changed["maintenance"] = [
        entry if entry.calendar == "" else msgspec.structs.replace(entry, calendar=str(folder / entry.calendar))
        for entry in config.maintenance
    ]
    changed["receivers"] = [
        msgspec.structs.replace(one, **{key: str(folder / getattr(one, key)) for key in RECEIVER_FILES if getattr(one, key) != ""})
        for one in config.receivers
    ]
    changed["grafana"] = grafanasections.absolute(changed["grafana"], folder)
    return msgspec.structs.replace(config, **changed)


def _shape(value: object, kind: Type, key: str) -> Iterator[str]:
    """Unknown keys, missing keys and wrong types below `key`; entries of a list are counted from 1."""
    limits = kind
    while isinstance(kind, Metadata | UnionType):
        kind = kind.type if isinstance(kind, Metadata) else next(t for t in kind.types if not isinstance(t, NoneType))
    match kind:
        case StructType():
            yield from _struct(value, kind, key)
        case ListType():
            yield from _list(value, kind, key)
        case DictType():
            yield from _dict(value, kind, key)
        case LiteralType() if value not in kind.values or not isinstance(value, str):
            yield f"{key} must be one of {', '.join(str(v) for v in kind.values if v != '')}, not {_show(value)}"
        case BoolType() if not isinstance(value, bool):
            yield f"{key} must be true or false, not {_show(value)}"
        case StrType() if not isinstance(value, str):
            yield f"{key} must be text in quotes, not {_show(value)}"
        case IntType():
            yield from _number(value, limits, key)
        case _:
            pass


def _struct(value: object, kind: StructType, key: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{key} must be a table, written [{key}]"
        return
    known = {field.encode_name: field for field in kind.fields}
    for name in value:
        if name not in known:
            yield f"{_join(key, name)} is not a known key{_suggest(key, name, known)}"
    for field in kind.fields:
        if field.encode_name in value:
            yield from _shape(value[field.encode_name], field.type, _join(key, field.encode_name))
        elif field.required:
            yield f"{_join(key, field.encode_name)} is missing"


def _list(value: object, kind: ListType, key: str) -> Iterator[str]:
    tables = isinstance(kind.item_type, StructType)
    if not isinstance(value, list):
        yield f"{key} must be a list" + (f" of tables, each written [[{key}]]" if tables else ", written [ … ]")
        return
    for number, item in enumerate(value, 1):
        yield from _shape(item, kind.item_type, f"{key}[{number}]")


def _dict(value: object, kind: DictType, key: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{key} must be a table, written {{ name = … }}"
        return
    for name, item in value.items():
        yield from _shape(item, kind.value_type, _join(key, name))


def _number(value: object, kind: Type, key: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield f"{key} must be a whole number, not {_show(value)}"
        return
    inner = kind.type if isinstance(kind, Metadata) else kind
    if isinstance(inner, IntType) and inner.ge is not None and inner.le is not None and not inner.ge <= value <= inner.le:
        yield f"{key} must be between {inner.ge} and {inner.le}, not {value}"


def _suggest(key: str, name: str, known: Mapping[str, Field]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {_join(key, close[0])}?" if close else ""


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key != "" else name


def _show(value: object) -> str:
    """A wrong value in a few words; text may be a secret at the wrong place, so it is shown only if short."""
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 40 else "a long text"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else str(value)
