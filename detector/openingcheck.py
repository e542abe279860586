"""What contradicts itself in [[keyholders]], [opening] and [audit]. Whether a line is a key is seen by privacy/people.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from detector.config import Config
from detector.configcheck import NAME, Role, file_troubles, variable_troubles
from detector.sections import BREAK_GLASS, Keyholder


def contradictions(config: Config) -> Iterator[str]:
    """One sentence per contradiction, without the file's name."""
    yield from _groups(config)
    yield from _people(config)
    yield from _alone(config)
    if config.audit.anchor_file != "" and config.audit.key_file == "":
        yield "audit.anchor_file is set without audit.key_file; only signatures are written there"


def missing(config: Config, environ: Mapping[str, str], role: Role) -> Iterator[str]:
    """Files that are named and not there. ROUTE needs the database's password only where it keeps links."""
    opening = config.opening
    if role != "route":
        yield from file_troubles(
            "audit.key_file", config.audit.key_file, secret=True, hint="make it with `tuermer keys new signing --out {}`"
        )
        yield from file_troubles("opening.break_glass_key_file", opening.break_glass_key_file, secret=True)
        yield from file_troubles("opening.break_glass_passphrase_file", opening.break_glass_passphrase_file, secret=True)
        yield from variable_troubles("opening.break_glass_passphrase_env", opening.break_glass_passphrase_env, environ)
    elif keeps_links(config):
        yield from file_troubles("audit.key_file", config.audit.key_file, secret=True)
        yield from variable_troubles("database.password_env", config.database.password_env, environ)
        yield from file_troubles("database.password_file", config.database.password_file, secret=True)


def keeps_links(config: Config) -> bool:
    """Whether there are two groups of people who could open a name; the daemon's own key does not count as one."""
    return len({group for holder in config.keyholders for group in holder.groups} & set(config.opening.groups) - {BREAK_GLASS}) >= 2


def _groups(config: Config) -> Iterator[str]:
    groups = config.opening.groups
    if len(groups) < 2 or len(set(groups)) < len(groups) or len(groups) > 4:
        yield "opening.groups must name two to four different groups; any two of them open names together"
    for group in groups:
        if NAME.fullmatch(group) is None:
            yield f'opening.groups holds "{group}", but may hold only letters, digits, dot, dash and underscore'


def _people(config: Config) -> Iterator[str]:
    tenants = {topic.tenant for topic in config.topics} | {observer.tenant for observer in config.observers}
    keys = Counter(_key(holder) for holder in config.keyholders)
    for number, holder in enumerate(config.keyholders, 1):
        key = f"keyholders[{number}]"
        if NAME.fullmatch(holder.name) is None:
            yield f'{key}.name is "{holder.name}", but may hold only letters, digits, dot, dash and underscore'
        if len(set(holder.groups) & set(config.opening.groups)) > 1:
            yield f"{key} {holder.name} is in two groups of opening.groups and could open names alone; keep one"
        if keys[_key(holder)] > 1:
            yield f"{key} {holder.name} has the same key as somebody else of [[keyholders]]"
        for tenant in holder.tenants:
            if tenants - {""} != set() and tenant not in tenants:
                yield f"{key}.tenants names {tenant}, which is not a tenant of any of [[topics]]"
    for name, times in Counter(holder.name for holder in config.keyholders).items():
        if times > 1:
            yield f"[[keyholders]] names {name} {times} times; one person has one key"


def _key(holder: Keyholder) -> str:
    """The key within the line of a .pub file."""
    return [*holder.public.split(), "", ""][1]


def _alone(config: Config) -> Iterator[str]:
    opening = config.opening
    if (opening.break_glass_key_file != "") != (BREAK_GLASS in opening.groups):
        yield "opening.break_glass_key_file and the group break-glass in opening.groups belong together: set both, or neither"
    if BREAK_GLASS in opening.groups and not any("opening" in receiver.told for receiver in config.receivers):
        yield "opening.break_glass_key_file is set, but no [[receivers]] is told of `opening`: the data protection officer must hear of it"
    if opening.break_glass_passphrase_env != "" and opening.break_glass_passphrase_file != "":
        yield "opening.break_glass_passphrase_env and opening.break_glass_passphrase_file are both set; keep one"
