"""Text from a log as it may be shown: control characters become signs that one can see, so that no terminal obeys them."""

from __future__ import annotations

_KEPT = "\n\t"
# C0 and DEL have pictures of their own; C1 and what turns the direction of writing (a name that reads backwards) get a plain sign.
_SIGNS = {code: 0x2400 + code for code in range(0x20) if chr(code) not in _KEPT} | {0x7F: 0x2421}
_SIGNS |= dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029], 0xFFFD)


def visible(text: str) -> str:
    """The same text without control characters; line ends and tabs stay."""
    return text if text.isprintable() else text.translate(_SIGNS)


def one_line(text: str) -> str:
    """Likewise, with line ends and tabs as blanks."""
    return visible(text).translate({ord("\n"): " ", ord("\t"): " "})
