"""Where secrets come from: looked up for a push, or named so that Grafana looks them up itself, for an export."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from detector.config import ConfigError


class Secrets(Protocol):
    """`what` names the setting in sentences; of `variable` and `file` one is given."""

    def get(self, what: str, variable: str, file: str, line: int = 1) -> str:
        """The secret, or a reference to it."""
        ...

    def plain(self, value: str) -> str:
        """A value that is no secret, so that it arrives as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Secrets themselves."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def get(self, what: str, variable: str, file: str, line: int = 1) -> str:
        """Raises ConfigError. `line` of the file, counted from 1."""
        if variable != "":
            if self.environ.get(variable, "") == "":
                raise ConfigError(f"{what} names the environment variable {variable}, which is not set")
            return self.environ[variable]
        try:
            lines = Path(file).read_text("utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"{what} names {file}, which cannot be read ({error.strerror})") from error
        if len(lines) < line:
            raise ConfigError(f"{what} names {file}, which has no line {line}")
        return lines[line - 1]

    def plain(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Named:
    """References in the language of Grafana's provisioning files."""

    def get(self, what: str, variable: str, file: str, line: int = 1) -> str:  # noqa: ARG002 - the protocol's signature
        """$NAME, or $__file{path}; of a file with a login in two lines Grafana could not take the second, so a file of its own is named."""
        if variable != "":
            return f"${variable}"
        return f"$__file{{{file}}}" if line == 1 else f"$__file{{{file}.password}}"

    def plain(self, value: str) -> str:
        """Grafana fills in $NAME; a doubled dollar stands for itself."""
        return value.replace("$", "$$")
