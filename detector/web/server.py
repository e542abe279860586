"""The page's server in a thread of its own: the loop of ROUTE or SCORE never waits for a browser."""

from __future__ import annotations

import threading
import time

import uvicorn
from starlette.applications import Starlette

from detector.sentence import Sentence

PATIENCE = 5.0  # s for the server to come up or go down


class Page:
    """Serves an application; `start` returns when it answers, Sentence when the port is taken. `tls`: certificate and key."""

    def __init__(self, application: Starlette, host: str, port: int, tls: tuple[str, str] | None = None) -> None:
        cert, key = (None, None) if tls is None else tls
        self._config = uvicorn.Config(
            application, host=host, port=port, log_config=None, access_log=False, server_header=False, proxy_headers=False,
            ssl_certfile=cert, ssl_keyfile=key, h11_max_incomplete_event_size=16 * 1024,
        )  # fmt: skip
        self._server = uvicorn.Server(self._config)
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)
        self._failed = False
        self.url = f"{'http' if tls is None else 'https'}://{'[' + host + ']' if ':' in host else host}:{port}/"

    def _serve(self) -> None:
        try:
            self._server.run()
        except SystemExit:  # uvicorn's way of saying that it could not listen
            self._failed = True

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._server.started:
            if self._failed or not self._thread.is_alive() or time.monotonic() > deadline:
                raise Sentence(
                    f"the page cannot listen at {self.url}: is another Türmer running? Choose another page.listen or page.route_listen"
                )
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
