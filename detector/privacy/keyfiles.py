"""`tuermer keys new NAME`: the files of a new key, at the rim where there is a clock."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from detector.privacy.keys import new_dead_letters, new_privacy, new_signing

Name = Literal["privacy", "signing", "dead-letters"]


def new_key(name: Name, out: Path | None = None) -> list[Path]:
    """Makes the key, by default NAME.key in the current folder; returns the files made.

    Raises KeyFileError with one sentence when a file exists or cannot be made.
    """
    path = Path(f"{name}.key") if out is None else out
    match name:
        case "privacy":
            new_privacy(path, time.time_ns() // 1000)
            return [path]
        case "signing":
            new_signing(path)
        case "dead-letters":
            new_dead_letters(path)
    return [path, path.with_name(path.name + ".pub")]
