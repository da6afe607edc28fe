"""The servers that this user has logged in to, and the tokens for them, in a file that only the user can read."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from platformdirs import user_config_path

from trainable.errors import UserError, nearest

NONE_KNOWN = "no server is known yet; `tuner login URL` makes one known"
_FILE = "servers.json"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Login:
    """A server, as this user reaches it."""

    url: str
    token: str | None = None
    """None: it asks for none"""


def server_url(given: str) -> str:
    """A server's URL as logins have it: nothing after its path, no slash at its end.

    Raises:
        UserError: it is none.
    """
    try:
        parts = urlsplit(given)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of brackets and ports
        is_one = False
    if not is_one:
        raise UserError(f"server {given!r}: must be a URL such as http://127.0.0.1:8000 or https://thaw.example.org")
    if parts.username or parts.password:
        raise UserError(f"server {parts.hostname!r}: a URL holds no password; `tuner login` asks for the token")
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), "", ""))


def is_open_to_listeners(url: str) -> bool:
    """Whether a token on its way there can be read by others of the network."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


class Logins:
    """The logins of one user, newest last; the newest is the default."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = (folder or user_config_path("thaw")) / _FILE

    def all(self) -> list[Login]:
        """Raises: UserError: the file cannot be read."""
        try:
            text = self._file.read_text(encoding="utf-8")
            return [Login(str(one["url"]), one.get("token")) for one in json.loads(text)["servers"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{self._file}: cannot be read ({error}); remove it and log in again") from None

    def find(self, given: str | None) -> Login:
        """The login to a server, or the default one; a server that asks for no token needs none.

        Raises:
            UserError: no login has been made, or what was given is no URL.
        """
        logins = self.all()
        if given is None:
            if not logins:
                raise UserError(NONE_KNOWN)
            return logins[-1]
        if "://" not in given:
            raise UserError(f"--server {given!r}: must be a URL{nearest(given, [login.url for login in logins])}")
        url = server_url(given)
        return next((login for login in logins if login.url == url), Login(url))

    def keep(self, login: Login) -> None:
        """Remember a login; it becomes the default."""
        self._write([*(other for other in self.all() if other.url != login.url), login])

    def forget(self, url: str) -> None:
        """Raises: UserError: there is no such login."""
        logins = self.all()
        if url not in [login.url for login in logins]:
            known = ", ".join(login.url for login in logins) or "none"
            raise UserError(f"server {url}: not logged in there (logged in to: {known})")
        self._write([login for login in logins if login.url != url])

    def _write(self, logins: list[Login]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        servers = [{"url": login.url} | ({"token": login.token} if login.token else {}) for login in logins]
        handle, draft = tempfile.mkstemp(dir=self._file.parent, prefix=_FILE)  # readable by its owner only
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"servers": servers}, file, indent=1)
        Path(draft).replace(self._file)
