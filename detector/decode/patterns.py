"""The notation of message templates: text with holes in braces (see `template`), parsed once when a format is loaded."""

from __future__ import annotations

from dataclasses import dataclass

_NEAR = 12  # a choice behind more literal text than this is left to the matcher
RUNS = ("word", "int", "ip", "host", "name")


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes that must stand there; kept under `slot` when that is not empty."""

    text: str
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Hole:
    """A variable part. kind: a run of bytes, until, last, rest, or choice (then `choices` are its branches)."""

    slot: str
    kind: str
    choices: tuple[Pattern, ...] = ()


Pattern = tuple[Literal | Hole, ...]


def parse(text: str) -> Pattern:
    """The parts of a template. Raises ValueError with a sentence when the notation is broken."""
    parts: list[Literal | Hole] = []
    at = 0
    while at < len(text):
        opened = text.find("{", at)
        if opened < 0:
            opened = len(text)
        if opened > at:
            parts.append(Literal(text[at:opened]))
        if opened == len(text):
            break
        closed = _closing(text, opened)
        parts.append(_hole(text[opened + 1 : closed], text))
        at = closed + 1
    for part, follower in zip(parts, [*parts[1:], Hole("", "end")], strict=False):
        if isinstance(part, Hole) and part.kind in ("until", "last") and not isinstance(follower, Literal):
            raise ValueError(f"in the template {text!r} the hole {{{part.slot}:{part.kind}}} needs text after it")
    return tuple(parts)


def _closing(text: str, opened: int) -> int:
    depth = 0
    for at in range(opened, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    raise ValueError(f"the template {text!r} has a brace that is never closed")


def _hole(inner: str, text: str) -> Hole:
    if inner.startswith("?"):
        return Hole("", "choice", (*(parse(branch) for branch in _branches(inner[1:])), ()))
    name = inner[: min((i for i in (inner.find(c) for c in ":={") if i >= 0), default=len(inner))]
    mark, rest = inner[len(name) : len(name) + 1], inner[len(name) + 1 :]
    if mark == "=":
        return Hole(name, "choice", tuple(parse(branch) for branch in _branches(rest)))
    kind = rest if mark == ":" else "word"
    if kind not in (*RUNS, "until", "last", "rest") or (mark == "" and name == ""):
        raise ValueError(
            f"the template {text!r} has the hole {{{inner}}}, whose type is none of {', '.join((*RUNS, 'until', 'last', 'rest'))}"
        )
    return Hole(name, kind)


def _branches(text: str) -> list[str]:
    """Split at the bars that stand outside inner braces."""
    branches, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == "|" and depth == 0:
            branches.append(text[start:at])
            start = at + 1
    return [*branches, text[start:]]


def expand(pattern: Pattern) -> list[Pattern]:
    """Patterns that begin with literal text: a choice near the beginning becomes one pattern per branch."""
    first = next((i for i, part in enumerate(pattern) if isinstance(part, Hole)), len(pattern))
    ahead = sum(len(part.text) for part in pattern[:first] if isinstance(part, Literal))
    if first == len(pattern) or ahead > _NEAR:
        return [pattern]
    hole = pattern[first]
    assert isinstance(hole, Hole)
    result = []
    for choice in hole.choices if hole.kind == "choice" else ():
        named = (Literal(choice[0].text, hole.slot),) if len(choice) == 1 and isinstance(choice[0], Literal) else choice
        result += expand((*pattern[:first], *named, *pattern[first + 1 :]))
    return result if hole.kind == "choice" else [pattern]
