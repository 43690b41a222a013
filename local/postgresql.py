"""A real PostgreSQL on this machine that lets in as Amazon RDS does: over TLS, with passwords or with tokens.

Nothing of it outlives its process: the data lies in a folder of its own, and is not forced to disk.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.directory_of_tokens import USER_PREFIX, Objection, TokenDirectory

LOOPBACK = "127.0.0.1"
ADMINISTRATOR = "rdsadmin"
"""The superuser, which only this machine's socket lets in. The master user is none, as at RDS."""

_PLACES = ("/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt")
_UNPRIVILEGED = ("postgres", "nobody")
_START_S = 20.0
_STOP_S = 5.0


class PostgresqlError(Exception):
    """The server is not installed or does not start; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Master:
    """The database that is made with the server, and the user it belongs to."""

    database: str
    user: str
    password: str


def programs() -> Path | None:
    """The folder with the newest installed server's programs, None where there is none."""
    found = [
        folder
        for place in _PLACES
        for folder in Path(place).glob("*/bin")
        if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]
    by_version = sorted(found, key=lambda folder: _number(folder.parent.name))
    return by_version[-1] if by_version else None


def _number(folder: str) -> int:
    digits = "".join(filter(str.isdigit, folder))
    return int(digits) if digits else 0


class PostgresqlServer:
    """One server on a loopback port. Clients find the authority of its certificate in `roots`."""

    def __init__(
        self,
        *,
        port: int,
        master: Master,
        objection: Objection,
        plain_text: bool = False,
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Make the data folder; nothing runs yet.

        `objection` judges the passwords of whoever has the role `rds_iam`; `plain_text` also lets in without
        TLS.

        Raises:
            PostgresqlError: no server is installed, or it cannot make its folder.
        """
        installed = programs()
        if installed is None:
            raise PostgresqlError(
                "PostgreSQL is not installed; install it (Debian: apt-get install postgresql)"
            )
        self.port = port
        self._master = master
        self._plain_text = plain_text
        self._programs = installed
        self._user = _unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens = TokenDirectory(objection, log)
        # Not below the project: the server's user may not get there, and a socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir="/tmp"))
        try:
            self._prepare()
        except BaseException:
            self.remove()
            raise

    @property
    def roots(self) -> Path:
        """The certificate that clients have to trust."""
        return self.folder / "server.crt"

    @property
    def pid(self) -> int:
        """The running server's process id."""
        assert self._process is not None, "the server does not run"  # noqa: S101 - a caller's mistake
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            PostgresqlError: it did not within 20 seconds.
        """
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the installed server
                [str(self._programs / "postgres"), "-D", str(self._data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self._user,
                group=self._user and _group_of(self._user),
                extra_groups=None if self._user is None else [],
                cwd="/",
            )
        deadline = time.monotonic() + _START_S
        while self._run("pg_isready", "-q", check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "server.log").read_text(errors="replace")[-1000:]
                self.stop()
                raise PostgresqlError(f"PostgreSQL does not start: {said}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT closes connections in order, SIGKILL is a crash."""
        if self._process is None:
            return
        os.kill(self._process.pid, how)
        # A process that was halted hears of its end only when it goes on.
        os.kill(self._process.pid, signal.SIGCONT)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def remove(self) -> None:
        """Stop it and delete what it kept."""
        self.stop()
        self._tokens.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statements: str, database: str = "postgres") -> str:
        """What the superuser gets for `statements`, unaligned: for what RDS itself would do, and tests."""
        return self._run(
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statements
        ).stdout.decode()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _prepare(self) -> None:
        make_certificate(self.folder)
        _give(self.folder, self._user)
        self._run_as_server(
            "initdb", "-D", str(self._data), "-U", ADMINISTRATOR, "--auth=trust", "-N", "-E", "UTF8",
            "--locale=C.UTF-8",
        )  # fmt: skip
        (self._data / "postgresql.auto.conf").write_text(self._configuration())
        (self._data / "pg_hba.conf").write_text("\n".join(self._admission()) + "\n")
        self.start()
        for statement in _births(self._master):
            self.execute(statement)

    def _configuration(self) -> str:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": self.folder,
            "ssl": "on",
            "ssl_cert_file": self.folder / "server.crt",
            "ssl_key_file": self.folder / "server.key",
            "password_encryption": "scram-sha-256",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": 50,
        }
        return "".join(f"{name} = '{value}'\n" for name, value in settings.items())

    def _admission(self) -> Sequence[str]:
        kind = "host" if self._plain_text else "hostssl"
        directory = f'ldapserver={LOOPBACK} ldapport={self._tokens.port} ldapprefix="{USER_PREFIX}"'
        return (
            f"local all {ADMINISTRATOR} trust",
            f"{kind} all {ADMINISTRATOR} all reject",
            f"{kind} all +rds_iam all ldap {directory}",
            f"{kind} all all all scram-sha-256",
        )

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        place = ("-h", str(self.folder), "-p", str(self.port), "-U", ADMINISTRATOR)
        return _run([str(self._programs / program), *place, *arguments], check=check)

    def _run_as_server(self, program: str, *arguments: str) -> None:
        _run([str(self._programs / program), *arguments], check=True, user=self._user)


def make_certificate(folder: Path) -> None:
    """A key and a certificate for 127.0.0.1 that is its own authority, in `folder`."""
    _run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", "/CN=local PostgreSQL",
            "-addext", f"subjectAltName=IP:{LOOPBACK}",
            "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
            "-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt"),
        ],
        check=True,
    )  # fmt: skip


def _births(master: Master) -> Sequence[str]:
    """As at RDS: the role for IAM, and a master user who makes roles and databases but is no superuser."""
    user, database = _quoted(master.user), _quoted(master.database)
    password = master.password.replace("'", "''")
    return (
        "CREATE ROLE rds_iam NOLOGIN",
        f"CREATE ROLE {user} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'",
        f"CREATE DATABASE {database} OWNER {user}",
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _unprivileged_user() -> str | None:
    """Whose the server is: nobody may start it as root."""
    if os.geteuid() != 0:
        return None
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _UNPRIVILEGED if name in known), None)


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _give(folder: Path, user: str | None) -> None:
    (folder / "server.key").chmod(0o600)
    if user is not None:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user, _group_of(user))


def _run(
    command: Sequence[str], *, check: bool, user: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(  # noqa: S603 - installed programs
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        user=user,
        group=user and _group_of(user),
        extra_groups=None if user is None else [],
        cwd="/",
        timeout=60,
    )
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise PostgresqlError(f"{Path(command[0]).name} failed: {said}")
    return done
