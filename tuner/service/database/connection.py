"""The service's database: SQLite in a file, or PostgreSQL by its URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from trainable.errors import UserError

_BUSY_MILLISECONDS = 30_000
_MIGRATIONS = Path(__file__).parent / "migrations"
_ONLY_READS = "thaw_only_reads"


class Database:
    """Made by `open_database`."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine

    @property
    def shown(self) -> str:
        """Its URL without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """To read and write in one transaction, which is committed unless something is raised."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """To read; never waits for who writes. Rows stay readable afterwards."""
        engine = self._engine.execution_options(**{_ONLY_READS: True})
        with Session(engine, expire_on_commit=False) as session:
            yield session

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables to how this version has them.

        Raises:
            UserError: a newer version of Thaw has written them.
        """
        with self._engine.connect() as connection, _changing_tables(connection):
            try:
                command.upgrade(_alembic(connection), revision)
            except CommandError as error:
                if "Can't locate revision" not in str(error):
                    raise
                raise UserError(
                    f"database {self.shown}: a newer version of Thaw has written it ({error}); install that one, or "
                    "restore the copy from before"
                ) from None

    def version(self) -> str | None:
        """The revision of its tables; None: there are none."""
        with self._engine.connect() as connection:
            if not sqlalchemy.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            return None if found is None else str(found)

    def close(self) -> None:
        self._engine.dispose()


def open_database(url: str) -> Database:
    """Connect, without looking at the tables.

    Raises:
        UserError: it is no URL of a database, its driver is not installed, or it does not answer.
    """
    parsed = _parsed(url)
    shown = parsed.render_as_string(hide_password=True)
    try:
        engine = sqlalchemy.create_engine(parsed, pool_pre_ping=True)
    except NoSuchModuleError:
        raise UserError(f"--database {shown}: give sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    except ModuleNotFoundError as error:
        raise UserError(f"--database {shown}: {error.name} is missing; pip install 'thaw-tuner[postgres]'") from None
    if parsed.get_backend_name() == "sqlite":
        _set_up_sqlite(engine)
    try:
        engine.connect().close()
    except OperationalError as error:
        told = str(error.orig).splitlines()[0]
        raise UserError(f"--database {shown}: cannot be opened ({told})") from None
    return Database(engine)


def revisions() -> list[str]:
    """All that the tables have been, the first one first."""
    scripts = ScriptDirectory.from_config(_alembic())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def _parsed(url: str) -> URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError:
        raise UserError("--database: give sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _set_up_sqlite(engine: sqlalchemy.Engine) -> None:
    """Readers beside a writer, and a writer waits for its turn as its transaction begins.

    Source: SQLAlchemy, "Enabling Non-Legacy SQLite Transactional Modes"; one that begins by reading and is then refused
    its write, since another has written meanwhile, could only begin anew.
    """

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", f"busy_timeout={_BUSY_MILLISECONDS}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        only_reads = connection.get_execution_options().get(_ONLY_READS)
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


@contextmanager
def _changing_tables(connection: Connection) -> Iterator[None]:
    """A transaction in which tables may be made anew.

    Source: SQLite, "Making Other Kinds Of Table Schema Changes"; a table that is dropped would take along, or be
    held by, the rows that refer to it. Their references are proved before the transaction ends.
    """
    if connection.dialect.name != "sqlite":
        with connection.begin():
            yield
        return
    bare: Any = connection.connection.dbapi_connection  # within a transaction the pragma would do nothing
    bare.execute("PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            yield
            if lost := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise RuntimeError(f"rows refer to what is not there: {lost[:3]}")
    finally:
        bare.execute("PRAGMA foreign_keys=ON")


def _alembic(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
