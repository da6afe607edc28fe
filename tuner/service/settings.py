"""How a server is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from trainable.strict import Strict
from tuner.storage.place import Place, as_place


class ServiceSettings(Strict):
    """What `tuner serve` was given."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, lt=65536)] = 8420
    """0: a free one"""
    results: Annotated[Place, AfterValidator(as_place)]
    """of all searches: a folder, or a URL"""
    state: Path
    """a folder of this machine: drivers' output, the server's own Ray, uploads unless they are elsewhere"""
    database_url: str
    """as SQLAlchemy has it"""
    uploads_elsewhere: Path | None = None
    """the folder of data sets that were uploaded, where other machines train on them; None: one in `state`"""
    data_roots: tuple[Path, ...] = ()
    """folders beneath which data may be registered"""
    address: str | None = None
    """HOST:PORT of the Ray that drivers join; None: one of the server's own"""
    jobs: str | None = None
    """URL of that cluster's dashboard: drivers are Ray jobs on its head, this machine; None: they are processes here"""
    cpus: Annotated[float, Field(gt=0)] | None = None
    """of the server's own Ray; None: the machine's"""
    gpus: Annotated[float, Field(ge=0)] | None = None
    """likewise"""
    max_running: Annotated[int, Field(ge=1)] = 4
    """searches at once, whoever has submitted them"""
    accept_changes: bool = False
    """go on with searches though this program, libraries or data have changed, and record how"""
    keep_days: Annotated[float, Field(ge=0)] = 7.0
    """how long a deleted search can be restored"""
    upload_gib: Annotated[float, Field(gt=0)] = 4.0
    """of one archive of data, packed"""
    upload_files: Annotated[int, Field(ge=1)] = 200_000
    """in one archive"""

    requests_per_minute: Annotated[float, Field(ge=60)] = 6000.0
    """of one token; a quarter of them at once"""
    listeners: Annotated[int, Field(ge=1)] = 1000
    """streams of events at once, whoever listens"""

    @property
    def drivers(self) -> Path:
        """The folder of what drivers print."""
        return self.state / "drivers"

    @property
    def uploads(self) -> Path:
        """The folder of data sets that were uploaded, and of those that come in."""
        return self.uploads_elsewhere or self.state / "uploads"

    @property
    def unpacked_bytes(self) -> int:
        """Of one archive of data, unpacked: pictures hardly shrink."""
        return int(self.upload_gib * 4 * 2**30)

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine's own processes reach the server."""
        return self.host in ("127.0.0.1", "::1", "localhost")
