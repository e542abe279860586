"""What several commands have in common: the configuration file's option, and how a command says that it failed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from detector.sentence import Sentence

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The configuration file.")]
DEFAULT_CONFIG = Path("tuermer.toml")


class Failed(Sentence):
    """The command could not do its work; the text is the one sentence for the operator."""
