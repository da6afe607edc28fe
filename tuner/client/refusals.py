"""What a server refuses, and servers that do not answer, as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainable.errors import UserError

if TYPE_CHECKING:
    import httpx


_LATER = (429, 503)
"""it is too busy, or starts or ends"""


class UnreachableError(UserError):
    """The server does not answer, or not now, or something else answers there."""


class NoTokenError(UserError):
    """The server asks for a token, or for another one."""


class MissingError(UserError):
    """The server has nothing of that name, or not for who asks."""


def refusal(url: str, response: httpx.Response) -> UserError:
    """What a server's answer of 400 and above says; its body has been read."""
    problem = _problem(response)
    if response.status_code == 401:
        return NoTokenError(f"{url}: asks for a token that it knows; `tuner login {url}`")
    if problem is None:
        return UnreachableError(
            f"{url}: what answers there is no server of Thaw, or not a healthy one (status {response.status_code})"
        )
    lines = _lines(problem)
    if response.status_code in _LATER:
        return UnreachableError(*(f"{url}: {line}" for line in lines))
    return MissingError(*lines) if response.status_code == 404 else UserError(*lines)


def unreachable(url: str, error: Exception) -> UnreachableError:
    """No answer came."""
    told = " ".join(str(error).split()) or type(error).__name__
    return UnreachableError(f"{url}: no server answers there ({told}); is it up, and is that its address?")


def _problem(response: httpx.Response) -> dict[str, Any] | None:
    if "problem+json" not in response.headers.get("content-type", ""):
        return None
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _lines(problem: dict[str, Any]) -> list[str]:
    """One for each mistake, with the field that it is in."""
    mistakes = [mistake for mistake in problem.get("errors") or () if isinstance(mistake, dict)]
    told = [": ".join(filter(None, (str(one.get("field") or ""), str(one.get("message"))))) for one in mistakes]
    return told or [str(problem.get("detail") or problem.get("title"))]
