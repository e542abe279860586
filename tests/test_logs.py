"""Türmer's own messages hold no personal data, whoever writes them."""

from __future__ import annotations

import ast
import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from detector import logs

PACKAGE = Path(logs.__file__).parent
METHODS = ("debug", "info", "warning", "error", "exception", "critical")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """What configuring changes in the process is put back."""
    root = logging.getLogger()
    before = (sys.excepthook, threading.excepthook, root.handlers[:], root.level)
    yield
    sys.excepthook, threading.excepthook = before[:2]
    root.handlers[:], level = before[2], before[3]
    root.setLevel(level)
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_message_is_one_line_of_json_with_level_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logs.logger().info("caught up", topic="auth", lag=0)
    (line,) = said(capsys)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {"event": "caught up", "level": "info", "topic": "auth", "lag": 0}


def test_messages_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "warning")
    logs.logger().info("caught up")
    assert said(capsys) == []


def test_the_console_is_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console")
    logs.logger().info("caught up", topic="auth")
    assert "caught up" in (text := capsys.readouterr().err)
    assert "topic=auth" in text


def test_a_key_that_is_not_on_the_list_is_dropped_with_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logs.logger().info("login", user="xaver.moerkelbach", topic="auth")
    (line,) = said(capsys)
    assert "moerkelbach" not in repr(line)
    assert line["reason"] == "a key was dropped that is not in detector.logs.KEYS"
    assert line["topic"] == "auth"


def test_a_crash_tells_where_and_what_but_not_the_error_s_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    try:
        int("xaver.moerkelbach")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    (line,) = said(capsys)
    assert "moerkelbach" not in repr(line)
    assert line["error"] == "builtins.ValueError"
    assert str(line["where"]).startswith("test_logs.py:")


def test_a_crash_in_a_thread_is_told_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    thread = threading.Thread(target=lambda: int("xaver.moerkelbach"))
    thread.start()
    thread.join()
    (line,) = said(capsys)
    assert line["error"] == "builtins.ValueError"
    assert "moerkelbach" not in repr(line)


def test_ctrl_c_is_no_crash(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert said(capsys) == []


def test_a_library_s_warning_comes_without_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logging.getLogger("psycopg.pool").warning("error connecting as %r", "xaver.moerkelbach")
    logging.getLogger("psycopg.pool").info("connected")
    logging.getLogger("other").error("xaver.moerkelbach")
    first, second = said(capsys)
    assert (first["event"], first["library"], first["level"]) == ("error connecting as %r", "psycopg.pool", "warning")
    assert second["event"] == "a library's message, withheld"


def test_the_kafka_client_may_name_its_brokers(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logging.getLogger("kafka.conn").warning("no connection to %s", "kafka1:9092")
    (line,) = said(capsys)
    assert line["event"] == "no connection to kafka1:9092"


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger's method within the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "logs.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in METHODS
                and "log" in ast.unparse(node.func.value)
            ):
                yield f"{path.name}:{node.lineno}", node


def test_every_message_in_the_package_is_a_constant_text_with_known_keys() -> None:
    for where, call in _calls():
        assert call.args, where
        assert isinstance(call.args[0], ast.Constant), f"{where}: the text must be constant, values go into keys"
        assert {k.arg for k in call.keywords} <= logs.KEYS, where


def test_nothing_prints_past_the_logs() -> None:
    """`print` belongs to the command line; ruff forbids it elsewhere, this test keeps ruff's exception as small as it is."""
    printing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    }
    assert {name for name in printing if not name.endswith("cli.py")} <= {"demo.py", "sources/broker.py"}
