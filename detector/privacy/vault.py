"""Where the sealed link table will stand: which token belonged to which name, opened only by two people together.

ROUTE would write a link whenever a name gets its first token of an epoch. Its own task fills this module; until then
nothing is kept, and a token cannot be turned back by anybody once its epoch's key is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Link(NamedTuple):
    """One token and what it stands for, sealed before it leaves ROUTE."""

    tenant: str
    epoch: int
    token: str
    sealed: bytes


class Links(Protocol):
    """The table that takes links; writing one twice changes nothing."""

    def write(self, links: Sequence[Link]) -> None:
        """Before the batch's Kafka transaction is committed, so that no token is out whose link is not kept."""


class NoLinks:
    """Nothing is kept."""

    def write(self, links: Sequence[Link]) -> None:
        """Links end here."""
