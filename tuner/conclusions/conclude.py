"""Conclusions of a search or of a table that someone typed, as Markdown: what the runs support and what not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.conclusions.effects import Association, Effect, Finding, Untold, findings_of
from tuner.conclusions.from_csv import ReadTable, read_table
from tuner.conclusions.from_search import runs_of
from tuner.conclusions.importances import Importances
from tuner.conclusions.runs import Runs
from tuner.conclusions.sentences import basis_line, importances_line, lines_of, repeats_line, untold_line
from tuner.conclusions.training import training_lines
from tuner.records import SearchRecord
from tuner.report.table import escape
from tuner.wording.language import Language, marked

if TYPE_CHECKING:
    from tuner.evidence.gathering import Evidence

MOST_LINES = 20
"""of a conclusions section; what is left out is counted"""
_MOST_UNSCORED = 5
_ROLES = {
    "objective": marked("objective"),
    "metric": marked("metric"),
    "setting": marked("setting"),
    "ignored": marked("ignored"),
}


def conclusions_of(
    record: SearchRecord, evidence: Evidence | None = None, importances: Importances | None = None
) -> str:
    """The section on a search, from `## Conclusions`; the same arguments give the same bytes.

    Args:
        record: a search, running or ended
        evidence: gives the intervals that test is held against
        importances: of its axes; None: not told
    """
    runs = runs_of(record)
    extra = [importances_line(runs, importances)] if importances else []
    return _section(runs, [*extra, *training_lines(record, evidence)])


def conclude_table(
    path: Path | str, metric: str | None = None, ignored: Collection[str] = (), language: Language = "en"
) -> str:
    """A report on a CSV file of runs: how its columns were read, then the conclusions.

    Raises:
        UserError: the table cannot be read as one of runs.
    """
    read = read_table(path, metric, ignored, language)
    runs = read.runs
    better = runs.say("higher is better") if runs.direction == "maximize" else runs.say("lower is better")
    title = f"# {escape(Path(path).name)}: {escape(runs.metric)} ({better})"
    return f"{title}\n\n{_reading(read)}\n\n{_section(runs, [])}"


def _reading(read: ReadTable) -> str:
    say = read.runs.say
    lines = [
        f"- {escape(column.name) or say('(no name)')}: {say(_ROLES[column.role])}: {escape(column.why)}"
        for column in read.columns
    ]
    text = "\n".join([say("How the columns were read:"), "", *lines])
    if not read.unscored:
        return text
    told = ", ".join(map(escape, read.unscored[:_MOST_UNSCORED])) + ", ..." * (len(read.unscored) > _MOST_UNSCORED)
    return f"{text}\n\n{say('Left out, since the objective is no number: {rows}.', rows=told)}"


def _section(runs: Runs, others: Sequence[str]) -> str:
    """Most important first: what is shown, what luck does, what is not shown, associations, then the other lines."""
    findings = findings_of(runs) if len(runs.rows) > 1 else []
    told = sorted((found for found in findings if not isinstance(found, Untold)), key=_importance)
    lines = [line for found in told if _is_shown(found) for line in lines_of(runs, found)]
    lines += filter(None, [repeats_line(runs)])
    lines += [line for found in told if not _is_shown(found) for line in lines_of(runs, found)]
    untold = untold_line(runs, [found for found in findings if isinstance(found, Untold)])
    others = [*others, *([untold] if untold else [])]
    room = MOST_LINES - len(others)
    if len(lines) > room:
        left_out = len(lines) - (room - 1)
        more = runs.say("{count} more lines on settings, of smaller differences, are left out", count=left_out)
        lines = [*lines[: room - 1], more]
    bullets = "\n".join(f"- {line}." for line in [*lines, *others])
    return "\n\n".join(filter(None, [f"## {runs.say('Conclusions')}", basis_line(runs, findings), bullets])) + "\n"


def _is_shown(found: Finding) -> bool:
    return isinstance(found, Effect) and bool(found.shown)


def _importance(found: Effect | Association) -> tuple[bool, float]:
    """Effects before associations, and each by how far it stands out."""
    if isinstance(found, Association):
        return True, -found.strength
    return False, -max((abs(c.difference) / c.error for c in found.contrasts if c.error), default=0.0)
