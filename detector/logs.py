"""Türmer's own messages: structured, on standard error, and without personal data (I5).

Three rules keep persons out. A message is a constant text and its keys come from a closed list: anything else is a
mistake that a test finds, and at run time the key is dropped. Libraries' messages lose their arguments. A crash tells
which error was raised where, never the error's text, which may quote what was being read.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor

KEYS = frozenset(
    (
        "annotation", "batch", "bytes", "count", "error", "events", "events_per_second", "first", "format", "group", "holds",
        "incident", "instance", "lag", "lag_messages", "library", "listen", "mended", "message", "model", "next", "next_try_s",
        "offset", "outcome", "partition", "partitions", "place", "reason", "receiver", "records", "role", "rows", "run",
        "seconds", "shard", "shards", "tenant", "time", "topic", "topics", "version", "waiting", "where",
    )
)  # fmt: skip
OWN = frozenset(("event", "level", "timestamp"))
SPOKEN = ("kafka",)  # libraries whose messages name brokers and topics, never records
Format = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]


def configure(form: Format = "auto", level: Level = "info") -> None:
    """Called once by each process, before it does anything worth telling."""
    plain = form == "json" or (form == "auto" and not sys.stderr.isatty())
    structlog.configure(
        processors=[*_always(), _json() if plain else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _listen_to_libraries()
    sys.excepthook = _crashed
    threading.excepthook = lambda args: _crashed(args.exc_type, args.exc_value, args.exc_traceback)


def logger() -> Any:
    """Where to say something: `logger().info("caught up", topic=name, lag=0)`; the text constant, the keys from KEYS."""
    return structlog.get_logger()


def only_known_keys(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Drops keys that are not on the list, and says that something was dropped."""
    unknown = [key for key in event if key not in KEYS and key not in OWN]
    for key in unknown:
        del event[key]
    if unknown:
        event["reason"] = "a key was dropped that is not in detector.logs.KEYS"
    return event


def places(trace: TracebackType | None) -> list[str]:
    """Where an error came from, innermost last: file, line and function, nothing of its values."""
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]


class _Libraries(logging.Handler):
    """Libraries' warnings as our own messages: the constant text without its arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        spoken = record.name.split(".", 1)[0] in SPOKEN
        text = record.getMessage() if spoken else str(record.msg) if record.args else "a library's message, withheld"
        logger().log(record.levelno, text, library=record.name, where=f"{record.module}:{record.lineno}")


def _listen_to_libraries() -> None:
    root = logging.getLogger()
    root.handlers[:] = [_Libraries(logging.WARNING)]
    root.setLevel(logging.WARNING)


def _crashed(kind: type[BaseException], _value: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger().error(
        "ended by an error of ours; please report it", error=f"{kind.__module__}.{kind.__qualname__}", where=" > ".join(places(trace))
    )


def _always() -> Iterable[Processor]:
    return (structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), only_known_keys)


def _json() -> Processor:
    return structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=True)
