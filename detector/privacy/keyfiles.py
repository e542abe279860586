"""`tuermer keys new NAME`: the files of a new key, at the rim where there are a clock, an environment and a terminal."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from detector.privacy.keys import KeyFileError, new_dead_letters, new_privacy, new_signing
from detector.privacy.people import Person, new_person, unlock

Name = Literal["privacy", "signing", "dead-letters", "person"]
VARIABLE = "TUERMER_PASSPHRASE"


def new_key(name: Name, out: Path | None = None, login: str = "", passphrase: str = "") -> list[Path]:
    """Makes the key, by default NAME.key in the current folder; returns the files made. A person's also needs login and passphrase.

    Raises KeyFileError with one sentence when a file exists or cannot be made.
    """
    path = Path(f"{name if login == '' else login}.key") if out is None else out
    match name:
        case "privacy":
            new_privacy(path, time.time_ns() // 1000)
            return [path]
        case "signing":
            new_signing(path)
        case "dead-letters":
            new_dead_letters(path)
        case "person":
            new_person(path, login, passphrase)
    return [path, path.with_name(path.name + ".pub")]


def passphrase(file: Path | None, environ: Mapping[str, str], of: str = "the new key", *, again: bool = False) -> str:
    """From the file, the variable TUERMER_PASSPHRASE, or the terminal (`again`: asked twice); never from the command line.

    Raises KeyFileError when there is none.
    """
    if file is not None:
        try:
            return file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise KeyFileError(f"{file} with the passphrase cannot be read") from None
    if environ.get(VARIABLE, "") != "":
        return environ[VARIABLE]
    if not sys.stdin.isatty():
        raise KeyFileError(f"there is no terminal to ask for the passphrase: use --passphrase-file or the variable {VARIABLE}")
    given = getpass.getpass(f"Passphrase of {of}: ")
    if again and getpass.getpass("Once more: ") != given:
        raise KeyFileError("the two passphrases differ")
    return given


def opened(key: Path, passphrase_file: Path | None, environ: Mapping[str, str] = os.environ) -> Person:
    """The person whose key file this is. Raises KeyFileError with a sentence."""
    if not key.is_file():
        raise KeyFileError(f"{key} does not exist")
    return unlock(key, passphrase(passphrase_file, environ, key.name))
