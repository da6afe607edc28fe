"""Two searches side by side."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from trainable.errors import UserError
from tuner.report.comparison import compare
from tuner.report.comparison_formats import to_markdown
from tuner.report.page.content import without_title
from tuner.service.page.found import known_search
from tuner.service.page.routes.asking import Asked, Looking, page
from tuner.service.searches import Listing, list_searches
from tuner.service.services import Services

ROUTER = APIRouter()
_CHOICES = 200
"""the latest searches"""


@dataclass(frozen=True)
class Compared:
    names: tuple[str, ...]
    """that can be chosen"""
    one: str
    other: str
    comparison: str = ""
    """Markdown; empty: none was asked for, or it cannot be made"""
    mistakes: tuple[str, ...] = ()


@ROUTER.get("/compare")
def comparing(services: Asked, caller: Looking, a: str = "", b: str = "") -> Response:
    """The choice of two, and what they say of each other once both are chosen."""
    comparison, mistakes = _compared(services, a, b) if a and b else ("", ())
    names = tuple(dict.fromkeys([*(name for name in (a, b) if name), *_names(services)]))
    return page("compare.html", caller, here="compare", page=Compared(names, a, b, comparison, mistakes))


def _names(services: Services) -> list[str]:
    """Of those that have told something."""
    with services.database.reading() as session:
        rows = list_searches(session, Listing(limit=_CHOICES))
    return [row.name for row in rows if services.readings.summary(row.name) is not None]


def _compared(services: Services, one: str, other: str) -> tuple[str, tuple[str, ...]]:
    """As `tuner compare --force` tells, and what keeps it from being made."""
    for name in (one, other):
        known_search(services, name)  # names alone: what else `compare` takes is a path
    try:
        return without_title(to_markdown(compare(one, other, services.settings.results, force=True))), ()
    except UserError as error:
        return "", error.mistakes
