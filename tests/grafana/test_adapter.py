"""Every way in which a call can fail ends in one sentence that says what to do."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from detector.grafana.adapter import Trouble, Who, words
from detector.grafana.api import Grafana
from tests.grafana.server import Fake, serving
from tests.grafana.world import World

WHO = Who("the content token of stadt", "make one with `tuermer grafana tenant stadt`")


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    with serving(World()) as fake:
        fake.world.tokens["good"] = fake.world.tokens[fake.world.token("tuermer-content", "Editor")]
        yield fake


@pytest.fixture(autouse=True)
def mended(fake: Fake) -> Iterator[None]:
    yield
    fake.on_every = None


def failing(fake: Fake, token: str = "good", timeout: float = 5.0) -> Trouble:
    """What a write runs into."""
    with Grafana(fake.url, token, WHO, timeout=timeout) as grafana, pytest.raises(Trouble) as raised:
        grafana.create_folder("x", "X")
    return raised.value


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "Grafana does not accept the content token of stadt (401: as asked for by the test): expired, revoked"),
        (403, "the content token of stadt may not do POST /folders (403: as asked for by the test); make one with `tuermer grafana tenant"),
        (404, "is grafana.url right, and is it Grafana 12 or newer?"),
        (405, "check the proxy before Grafana"),
        (406, "delete it in Grafana, then push again"),
        (409, "somebody else changed or uses it (409: as asked for by the test); see `tuermer grafana diff`, then push again"),
        (412, "somebody else changed or uses it (412"),
        (429, "wait a minute, then push again"),
        (400, "Grafana refuses POST /folders (400: as asked for by the test); correct what it names"),
        (500, "Grafana failed at POST /folders (500: as asked for by the test); look into its log, then push again"),
        (503, "Grafana failed at POST /folders (503"),
    ],
)
def test_a_status_is_one_sentence(fake: Fake, status: int, advice: str) -> None:
    fake.on_every = status
    trouble = failing(fake)
    assert advice in str(trouble)
    assert trouble.status == status
    assert "\n" not in str(trouble)


def test_a_wrong_token_is_said_in_grafanas_words(fake: Fake) -> None:
    assert "(401: Invalid API key)" in str(failing(fake, token="nope"))


def test_a_write_whose_answer_never_came_is_in_doubt(fake: Fake) -> None:
    fake.on_every = "hang"
    trouble = failing(fake, timeout=0.2)
    assert "did not answer within 0.2 s" in str(trouble)
    assert "whether it was written is not known, so push again" in str(trouble)
    assert trouble.unsure


def test_a_read_whose_answer_never_came_is_in_no_doubt(fake: Fake) -> None:
    fake.on_every = "hang"
    with Grafana(fake.url, "good", WHO, timeout=0.2) as grafana, pytest.raises(Trouble) as raised:
        grafana.me()
    assert not raised.value.unsure


def test_a_connection_that_breaks_is_in_doubt(fake: Fake) -> None:
    fake.on_every = "close"
    trouble = failing(fake)
    assert "cannot be reached" in str(trouble)
    assert trouble.status == 0


@pytest.mark.parametrize(
    ("fault", "said"), [("html", "with a page instead of JSON: a login page or a proxy"), ("garbage", "that is not JSON")]
)
def test_a_page_instead_of_json_points_at_the_proxy(fake: Fake, fault: str, said: str) -> None:
    fake.on_every = "html" if fault == "html" else "garbage"
    trouble = failing(fake)
    assert said in str(trouble)
    assert trouble.unsure


def test_a_refused_connection_names_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Grafana(f"http://127.0.0.1:{port}/", "good", WHO) as grafana, pytest.raises(Trouble) as raised:
        grafana.me()
    assert f"Grafana at http://127.0.0.1:{port}/ refuses the connection" in str(raised.value)


def test_a_host_that_is_not_known_is_said() -> None:
    with Grafana("http://grafana.invalid/", "good", WHO, timeout=5) as grafana, pytest.raises(Trouble) as raised:
        grafana.me()
    assert "http://grafana.invalid/" in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}", "http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/grafana", "http://127.0.0.1:{port}/grafana/"]
)
def test_the_sub_path_stands_before_the_api(fake: Fake, url: str) -> None:
    fake.forget()
    address = url.format(port=fake.url.rsplit(":", 1)[1].rstrip("/"))
    with contextlib.suppress(Trouble), Grafana(address, "good", WHO) as grafana:  # the stand-in lives at the root
        grafana.me()
    assert fake.log[0][1] == ("/grafana/api/user" if "grafana" in url else "/api/user")


def test_names_are_quoted_in_paths(fake: Fake) -> None:
    with Grafana(fake.url, "good", WHO) as grafana:
        grafana.create_mute_timing({"name": "a/b ü", "time_intervals": []}, locked=True)
        grafana.update_mute_timing("a/b ü", {"name": "a/b ü", "time_intervals": []}, locked=True)
    assert fake.log[-1][1] == "/api/v1/provisioning/mute-timings/a%2Fb%20%C3%BC"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "no"}, "no"),
        ({"statusCode": 400, "messageId": "x", "message": "bad", "extra": {"Error": "line 1"}}, "bad: line 1"),
        ({"message": "Database error", "details": {"verboseMessage": "password authentication failed"}}, "password authentication failed"),
        ({"accessErrorId": "ACE1", "message": "denied", "title": "Access denied"}, "denied"),
        ("method POST/PUT not allowed for path\n", "method POST/PUT not allowed for path"),
        ("<!DOCTYPE html><html>", "no reason given"),
        ("", "no reason given"),
    ],
)
def test_grafanas_own_words_are_found_in_all_shapes_of_its_errors(body: object, said: str) -> None:
    assert words(body) == said
