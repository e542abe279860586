"""The page as the configuration wants it: who may log in, which names it answers to, TLS or loopback."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from detector.config import Config
from detector.web.access import Access
from detector.web.desk import Book
from detector.web.page import LOCAL, Incidents, Probes, Section, Site, application, check_listen
from detector.web.server import Page


def page_of(config: Config, incidents: Incidents, book: Book, probes: Probes, sections: Sequence[Callable[[Site], Section]] = ()) -> Page:
    """The page of SCORE, not started. `sections`: pages of other rooms. Raises ValueError for an address it may not listen at."""
    tls = None if config.page.cert_file == "" else (config.page.cert_file, config.page.key_file)
    host, port = check_listen(config.page.listen, guarded_by_tls=tls is not None and config.people != [])
    made = application(
        incidents, probes, config.language, [*LOCAL, host, *config.page.hosts], access=Access.of(config), book=book, sections=sections
    )
    return Page(made, host, port, tls)
