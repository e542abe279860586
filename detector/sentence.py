"""The one kind of error that is meant for people: it ends the command with its text, without a trace."""

from __future__ import annotations


class Sentence(Exception):
    """What is wrong and what to do, in one sentence for the operator; never a secret, never a line's content."""
