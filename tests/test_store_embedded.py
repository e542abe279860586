"""The embedded server: closed to others, remembered, and still ours after any kind of death."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import site
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from detector.store import StoreError
from detector.store.embedded import LOGINS, SETTINGS, SUPERUSER, Embedded, wheel_binaries
from detector.store.opening import open_embedded
from tests.postgres import FAST, open_folder

ROOT = Path(__file__).parent.parent
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a service user to care about")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture
def server(folder: Path) -> Iterator[Embedded]:
    """One folder for all tests here: making it anew costs a second each time."""
    made = Embedded(folder / "postgres", settings=FAST)
    yield made
    made.stop()


def reachable_python() -> str:
    """An interpreter of our version that a user without rights can start."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        path = Path(candidate)
        if path.exists() and all(folder.stat().st_mode & 0o001 for folder in (*path.parents, path.resolve(), *path.resolve().parents)):
            return candidate
    pytest.skip(f"no Python {version} here that a normal user can start: the embedded server was tested as root only")


def answers(server: Embedded) -> bool:
    with psycopg.connect(server.url(SUPERUSER, "postgres")) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_the_second_start_finds_port_data_and_passwords_again(server: Embedded) -> None:
    first = open_embedded(server)
    first.close()
    again = Embedded(server.directory, settings=FAST)
    second = open_embedded(again)
    assert (second.daemon_url, second.reader_url) == (first.daemon_url, first.reader_url)
    with psycopg.connect(second.daemon_url) as connection:
        assert connection.execute("SELECT count(*) FROM public.incidents").fetchone() == (0,)


def test_a_visitor_does_not_take_the_server_away_from_the_daemon(server: Embedded) -> None:
    """`tuermer explain` beside `tuermer run`."""
    daemon = open_embedded(server)
    open_embedded(Embedded(server.directory, settings=FAST), visit=True).close()
    assert answers(server)
    daemon.close()
    open_embedded(Embedded(server.directory, settings=FAST), visit=True).close()
    assert server.start(), "a visitor that had to start it ends it, too"


def test_only_we_can_read_the_passwords_and_only_the_server_its_folder(server: Embedded) -> None:
    server.start()
    kept = server.directory / "passwords.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.stat().st_uid == os.geteuid()
    assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    passwords = json.loads(kept.read_text())
    assert sorted(passwords) == sorted(LOGINS)
    assert len(set(passwords.values())) == len(LOGINS)
    assert min(map(len, passwords.values())) >= 24
    assert sorted(path.name for path in server.home.iterdir()) == ["data", "log"]


def test_nobody_gets_in_without_the_right_password(server: Embedded) -> None:
    open_embedded(server)
    for role in LOGINS:
        for password in ("", "postgres", role):
            with pytest.raises(psycopg.OperationalError, match=r"authentication failed|no password supplied"):
                psycopg.connect(host="127.0.0.1", port=server.port, user=role, password=password, dbname="postgres", connect_timeout=5)


def test_it_listens_on_the_loopback_address_only(server: Embedded) -> None:
    server.start()
    with psycopg.connect(server.url(SUPERUSER, "postgres")) as connection:
        assert connection.execute("SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')").fetchone() == (
            "127.0.0.1", "",
        )  # fmt: skip


@as_root
def test_below_a_closed_folder_root_s_service_user_gets_a_place_and_programs_of_its_own(tmp_path: Path) -> None:
    """pytest's folders are closed to others, like a clone and its environment below /root. None of them is opened."""
    package = wheel_binaries().parent.parent
    (tmp_path / package.name).symlink_to(package)
    (tmp_path / f"{package.name}.libs").symlink_to(package.parent / f"{package.name}.libs")
    binaries = tmp_path / package.name / wheel_binaries().parent.name / "bin"
    before = [folder.stat().st_mode for folder in tmp_path.parents]
    with open_folder() as fallback:
        with Embedded(tmp_path / "var" / "postgres", binaries, fallback, FAST) as server:
            owner = Path(f"/proc/{server._pid()}").stat().st_uid
            assert answers(server)
        assert pwd.getpwuid(owner).pw_name in ("tuermer", "nobody")
        assert server.home.is_relative_to(fallback)
        assert server.binaries.is_relative_to(fallback)
        assert (server.directory / "where").read_text().strip() == str(server.home)
        assert Embedded(server.directory, binaries, fallback).home == server.home
    assert [folder.stat().st_mode for folder in tmp_path.parents] == before


@as_root
def test_a_normal_user_starts_it_as_himself() -> None:
    nobody = pwd.getpwnam("nobody")
    code = (
        "import sys; from pathlib import Path; from detector.store.embedded import Embedded;"
        "from detector.store.opening import open_embedded; s = Embedded(Path(sys.argv[1])); o = open_embedded(s);"
        "import psycopg; c = psycopg.connect(o.daemon_url); print(c.execute('SELECT session_user').fetchone()[0]); c.close(); o.close()"
    )
    python = reachable_python()
    with open_folder() as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        environment = {"NUMBA_CACHE_DIR": str(folder / "numba"), "PATH": os.environ["PATH"], "PYTHONPATH": site.getsitepackages()[0]}
        done = subprocess.run(
            [python, "-c", code, str(folder / "postgres")], cwd=ROOT, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "tuermer_daemon\n", "")
        assert (folder / "postgres" / "server" / "data").stat().st_uid == nobody.pw_uid


def test_after_a_kill_of_whoever_started_it_the_running_server_is_taken_up_again(server: Embedded) -> None:
    code = (
        "import os, sys, signal; from pathlib import Path; from detector.store.embedded import Embedded;"
        "Embedded(Path(sys.argv[1])).start(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(server.directory)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    pid = server._pid()
    server.start()
    assert server._pid() == pid
    assert answers(server)


def test_after_a_power_cut_it_recovers(server: Embedded) -> None:
    server.start()
    pid = server._pid()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for process in (pid, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):  # a worker that had just ended
            os.kill(process, signal.SIGKILL)
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() != b"":
        time.sleep(0.01)
    assert (server.data / "postmaster.pid").exists()
    server.start()
    assert answers(server)


def test_a_pid_file_whose_number_belongs_to_somebody_else_now_does_not_keep_it_from_starting(server: Embedded) -> None:
    server.start()
    text = (server.data / "postmaster.pid").read_text()
    server.stop()
    lines = text.splitlines()
    with subprocess.Popen(["sleep", "60"], user=None if os.geteuid() != 0 else "nobody") as stranger:
        (server.data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        server.start()
        assert answers(server)
        stranger.kill()


def test_a_port_that_somebody_else_took_is_given_up_for_another(server: Embedded) -> None:
    server.start()
    port = server.port
    server.stop()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        server.start()
        assert server.port != port
        assert answers(server)


def test_stopping_twice_and_starting_twice_is_no_mistake(server: Embedded) -> None:
    server.start()
    server.start()
    assert answers(server)
    server.stop()
    server.stop()


def test_data_whose_passwords_were_deleted_is_set_aside_and_not_thrown_away(server: Embedded) -> None:
    server.start()
    (server.directory / "passwords.json").unlink()
    again = Embedded(server.directory, settings=FAST)
    again.start()
    assert answers(again)
    assert (server.home / "data-without-passwords" / "PG_VERSION").exists()
    again.stop()


def test_a_server_that_cannot_start_says_why_in_one_sentence(folder: Path) -> None:
    broken = Embedded(folder / "postgres", settings={**SETTINGS, "shared_buffers": "7 bananas"})
    with pytest.raises(StoreError, match=r"failed \(pg_ctl\): .*shared_buffers.*7 bananas"):
        broken.start()
