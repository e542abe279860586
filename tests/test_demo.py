"""`make run` as a newcomer meets it: incidents with reasons in the terminal and on the page, a clean end, and on from there."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from detector.sources.broker import free_port

PATIENCE = 240.0  # s: compiling on a busy machine; how long it may take is `make bench`'s affair
INCIDENT = re.compile(r"^[○◐●▲] (niedrig|mittel|hoch|kritisch)")


class Watched:
    """A running demo and what it has printed."""

    def __init__(self, state: Path, port: int) -> None:
        command = [sys.executable, "-m", "detector", "demo", "--state", str(state), "--listen", f"127.0.0.1:{port}", "--hours", "12"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.url = f"http://127.0.0.1:{port}/"
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def until(self, wanted: re.Pattern[str], count: int = 1) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while len(found := [line for line in list(self.lines) if wanted.search(line)]) < count:
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.1)
        return found

    def get(self, path: str = "") -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def demo(state: Path) -> Iterator[Watched]:
    watched = Watched(state, free_port())
    try:
        yield watched
    finally:
        watched.close()


def test_incidents_appear_the_end_is_clean_and_the_next_start_goes_on(tmp_path: Path) -> None:
    with demo(tmp_path / "state") as first:
        incident = first.until(INCIDENT)[0]
        after = first.lines[first.lines.index(incident) + 1]
        assert after.startswith("    "), "a reason follows"
        ids = set(re.findall(r"/incident/([0-9a-f-]+)", first.get()))
        assert ids != set()
        page = first.get(f"incident/{min(ids)}")
        assert "<h2>Warum</h2>" in page
        assert "<h2>Belege</h2>" in page
        assert first.end() == 0
        assert "Der nächste Start geht hier weiter." in first.lines[-1]
    with demo(tmp_path / "state") as second:
        second.until(INCIDENT)
        assert ids <= set(re.findall(r"/incident/([0-9a-f-]+)", second.get())), "what was found stays"
        assert second.end() == 0
