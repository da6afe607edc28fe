"""report.html brought up to date, again and again while a search runs."""

from __future__ import annotations

import logging

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord
from tuner.report.page.content import page_of
from tuner.report.page.rendering import to_html
from tuner.report.plots.source import Source
from tuner.store import Store, write_atomically

_log = logging.getLogger(__name__)


def page_html(
    store: Store, search: SearchRecord, evidence: Evidence | None = None, conclusions: str = "", top: int | None = None
) -> str:
    """The page as it is now; arguments as `page_of`."""
    return to_html(page_of(Source(store, search, evidence), conclusions, top))


def write_page(store: Store, search: SearchRecord, evidence: Evidence | None = None, conclusions: str = "") -> None:
    """Write report.html atomically.

    A page that cannot be made is left as it was and logged with its traceback: no search fails by it.

    Raises:
        OSError: it cannot be written.
    """
    try:
        html = page_html(store, search, evidence, conclusions)
    except Exception:
        _log.exception("%s was not made", store.report_html)
        return
    write_atomically(store.report_html, html)
