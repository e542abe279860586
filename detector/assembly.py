"""From configuration to the two halves of the pipeline."""

from __future__ import annotations

from detector.config import Config
from detector.decode import Decoder
from detector.judge.core import Core
from detector.pipeline import Router
from detector.privacy import Privacy
from detector.privacy.keys import Keyring


def router(config: Config, keyring: Keyring, *, links: bool = False) -> Router:
    """All that ROUTE needs. `links`: what new tokens stand for is handed on, to be sealed."""
    return Router(Decoder.of(config), Privacy.of(config, keyring, links=links))


def core(config: Config) -> Core:
    """All that SCORE needs: the models with their detectors, networks and limits."""
    return Core.of(config)
