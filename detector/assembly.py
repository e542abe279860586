"""From configuration to the two halves of the pipeline."""

from __future__ import annotations

from dataclasses import replace

from detector.config import Config
from detector.decode import Decoder
from detector.judge.core import Core
from detector.learn.library import RegistryLibrary
from detector.pipeline import Router
from detector.privacy import Privacy
from detector.privacy.keys import Keyring
from detector.store import Database


def router(config: Config, keyring: Keyring, *, links: bool = False) -> Router:
    """All that ROUTE needs. `links`: what new tokens stand for is handed on, to be sealed."""
    return Router(Decoder.of(config), Privacy.of(config, keyring, links=links))


def core(config: Config, database_url: str = "") -> Core:
    """All that SCORE needs: the models with their detectors, networks and limits; with a database also the models of its registry."""
    made = Core.of(config)
    return made if database_url == "" else replace(made, library=RegistryLibrary(Database(database_url), config, made.models.tables))
