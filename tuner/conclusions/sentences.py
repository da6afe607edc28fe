"""What was found about settings, in plain words: one line a finding, with what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.conclusions.contrasts import Contrast
from tuner.conclusions.effects import Association, Effect, Finding, Untold
from tuner.conclusions.importances import FEW_TRIALS, Importances
from tuner.conclusions.runs import Level, Runs, is_number, named
from tuner.report.table import escape

_MOST_LEVELS, _MOST_VALUES, _MOST_AXES = 4, 8, 6
"""that one line names"""


def basis_line(runs: Runs, findings: Sequence[Finding]) -> str:
    """What the lines about settings rest on, and how to read them."""
    if not runs.rows:
        return f"No {runs.noun} has finished." if runs.noun == "trial" else f"No {runs.noun}s."
    count = f"{len(runs.rows)} {runs.noun}s" if len(runs.rows) != 1 else f"One {runs.noun}"
    if runs.design == "adaptive":
        return (
            f"{count} finished. They were {runs.chosen_by}, so what is said of settings is association, no effect; "
            "a grid or random search without halving can show effects."
        )
    if len(runs.rows) == 1:
        return f"{count}: there is nothing to compare."
    count += _taken(runs)
    if not any(isinstance(found, Effect) and found.contrasts[0].error is not None for found in findings):
        return f"{count}."
    unit = f", in {runs.unit}" if runs.unit else ""
    return (
        f"{count}. Differences are means ± standard error{unit}; `shown` means that the 95 % "
        "interval leaves out 0. Of 20 settings without effect, one is shown by chance." + _shared_luck(runs)
    )


def _taken(runs: Runs) -> str:
    """Why the rows may be compared."""
    if runs.noun == "row":
        return ", taken to differ in nothing but their settings"
    again = f"{len(runs.again)} repeats of {len({run.name for run in runs.again})} of them" if runs.again else ""
    return (", each trained for the epochs it asks for" if runs.epochs else " of equal fidelity") + (
        f", and {again}" if again else ""
    )


def _shared_luck(runs: Runs) -> str:
    """What no interval of a search knows."""
    if runs.images is None:
        return ""
    images = f"the same {runs.images} validation images"
    if not runs.again:
        return (
            f" All trials share one seed and {images}: the luck of neither is in these intervals "
            "(`--repeats` with `--top` would show it)."
        )
    return (
        f" All trials share one seed and {images}: errors are at least what the repeats say of seeds, "
        "and the luck of the images is in them only where repeats redraw the split."
    )


def lines_of(runs: Runs, finding: Effect | Association) -> list[str]:
    """A finding in one line, and one more for each level of several that is shown to differ."""
    if isinstance(finding, Effect):
        return [line + _by_length(runs, finding) for line in _effect_lines(runs, finding)]
    return [_association_line(runs, finding)]


def untold_line(untold: Sequence[Untold]) -> str:
    """The settings of which nothing can be told, by reason; empty where there are none."""
    by_reason: dict[str, list[str]] = {}
    for found in untold:
        by_reason.setdefault(found.reason, []).append(_title(found))
    told = "; ".join(f"{', '.join(titles)} ({escape(reason)})" for reason, titles in by_reason.items())
    return f"Nothing can be told of {told}" if told else ""


def repeats_line(runs: Runs) -> str:
    """How far equal runs are apart; empty where none are equal."""
    if not runs.repeats:
        return ""
    largest = max(runs.repeats, key=lambda repeats: repeats.spread)
    values = ", ".join(_value(runs, value) for value in largest.values[:_MOST_VALUES])
    values += ", ..." * (len(largest.values) > _MOST_VALUES)
    others = len(runs.repeats) - 1
    also = f" (the largest spread of {len(runs.repeats)} such groups)" if others else ""
    return (
        f"{escape(largest.what)} ({values}) differ by {_value(runs, largest.spread)} with {_equal(runs)}{also}, "
        "so smaller differences are not supported by single runs"
    )


def importances_line(importances: Importances) -> str:
    """The axes that mattered most, and what makes that doubtful."""
    if importances.reason:
        return f"Importance of the axes: none computed, {importances.reason}"
    shares = list(importances.shares.items())
    told = ", ".join(f"{escape(path)} {share:.2f}" for path, share in shares[:_MOST_AXES])
    told += ", ..." * (len(shares) > _MOST_AXES)
    doubts = ["shares have no interval"]
    if importances.trials < FEW_TRIALS:
        doubts.append(f"beware, on fewer than {FEW_TRIALS} trials they are mostly noise")
    if importances.conditional:
        doubts.append("beware, some axes exist only beside certain values of others, so shares are hard to compare")
    basis = f"{importances.method}, {importances.trials} finished trials"
    return f"Importance of the axes ({basis}): {told}; {'; '.join(doubts)}"


def _effect_lines(runs: Runs, effect: Effect) -> list[str]:
    first = effect.contrasts[0]
    if first.against is not None:
        return [f"{_title(effect)}: {_pair(runs, effect, first)}"]
    if first.error is None:
        return [_unmeasured_levels(runs, effect)]
    over = f"over {effect.groups} groups of {runs.noun}s equal otherwise" if effect.groups else _drawn(runs, effect)
    family = f" over the {len(effect.contrasts)} levels together"
    lines = [
        f"{_title(effect)} {_name(contrast.level)}: {_with_error(runs, contrast)} against the mean of the others "
        f"{over}: {_verdict(runs, contrast)} ({_interval(runs, contrast)}{family})"
        for contrast in effect.shown
    ]
    rest = [contrast for contrast in effect.contrasts if not contrast.shown]
    return lines + ([_levels_not_shown(runs, effect, rest, over)] if rest else [])


def _by_length(runs: Runs, effect: Effect) -> str:
    """A trial is scored at its best epoch, and the maximum over more of them is higher by itself."""
    if effect.setting != runs.epochs or not all(is_number(contrast.level) for contrast in effect.contrasts):
        return ""
    better = "higher" if runs.direction == "maximize" else "lower"
    return f"; the best of more epochs can only be {better} on validation"


def _pair(runs: Runs, effect: Effect, contrast: Contrast) -> str:
    levels = f"{_name(contrast.level)} - {_name(contrast.against or '')}"
    if contrast.error is None:
        difference = _signed(runs, contrast.difference)
        return f"{levels}: {difference} over one pair, no interval: {_unmeasured(runs, contrast.difference)}"
    over = f"over {effect.groups} pairs" if effect.groups else _drawn(runs, effect)
    if effect.groups == 1:
        over = f"over one pair of {effect.runs} {runs.noun}s"
    verdict = f"{_verdict(runs, contrast)} ({_interval(runs, contrast)})"
    return f"{levels}: {_with_error(runs, contrast)} {over}: {verdict}"


def _levels_not_shown(runs: Runs, effect: Effect, rest: Sequence[Contrast], over: str) -> str:
    largest = max(rest, key=lambda contrast: abs(contrast.difference))
    of_all = len(rest) == len(effect.contrasts)
    names = ", ".join(_name(contrast.level) for contrast in rest[:_MOST_VALUES]) + ", ..." * (len(rest) > _MOST_VALUES)
    levels = f"{_title(effect)} {names}, each against the mean of the others"
    return (
        f"{levels}{f' {over}' if of_all else ''}: not shown; the largest difference is that of {_name(largest.level)}: "
        f"{_with_error(runs, largest)} ({_interval(runs, largest)})"
    )


def _unmeasured_levels(runs: Runs, effect: Effect) -> str:
    """One group of single runs: the ends are told, and no error is known."""
    by_gain = sorted(effect.contrasts, key=lambda contrast: contrast.difference)
    lowest, highest = by_gain[0], by_gain[-1]
    count = len(effect.contrasts)
    # each is told against the mean of the other levels: (value - mean of all) times count / (count - 1)
    apart = (highest.difference - lowest.difference) * (count - 1) / count
    return (
        f"{_title(effect)}: {count} levels in one group of {runs.noun}s equal otherwise, no interval; the largest "
        f"difference, {_name(highest.level)} - {_name(lowest.level)}, is {_signed(runs, apart)}: "
        f"{_unmeasured(runs, apart)}"
    )


def _association_line(runs: Runs, found: Association) -> str:
    lead = f"{_title(found)}: association, n = {found.runs}: "
    if found.correlation is None:
        told = [f"{_value(runs, mean)} with {_name(level)} ({count})" for level, mean, count in found.means]
        more = f" and {len(told) - _MOST_LEVELS} more" if len(told) > _MOST_LEVELS else ""
        return f"{lead}mean {', '.join(told[:_MOST_LEVELS])}{more}"
    goes = "higher goes with better" if found.correlation > 0 else "lower goes with better"
    text = f"{lead}rank correlation {found.correlation:+.2f}, {goes}"
    if found.low is None or found.high is None:
        return text
    shown = "shown" if found.low > 0 or found.high < 0 else "not shown"
    return f"{text}: {shown} (95 % [{found.low:+.2f}, {found.high:+.2f}])"


def _title(finding: Finding) -> str:
    return escape(finding.setting) + (f" of {escape(finding.within)}" if finding.within else "")


def _drawn(runs: Runs, effect: Effect) -> str:
    return f"over {effect.runs} {runs.noun}s drawn at random"


def _verdict(runs: Runs, contrast: Contrast) -> str:
    if not contrast.shown:
        return "not shown"
    return "shown, better" if (contrast.difference > 0) == (runs.direction == "maximize") else "shown, worse"


def _unmeasured(runs: Runs, difference: float) -> str:
    """The verdict on a difference that has no error of its own."""
    if abs(difference) < runs.spread:
        return f"not supported, since equal runs differ by {_value(runs, runs.spread)}"
    return "not shown"


def _with_error(runs: Runs, contrast: Contrast) -> str:
    return f"{_signed(runs, contrast.difference)} ± {_value(runs, contrast.error or 0.0)}"


def _interval(runs: Runs, contrast: Contrast) -> str:
    return f"95 % [{_signed(runs, contrast.low or 0.0)}, {_signed(runs, contrast.high or 0.0)}]"


def _value(runs: Runs, value: float) -> str:
    return f"{value:.{runs.decimals}f}"


def _signed(runs: Runs, value: float) -> str:
    return f"{value:+.{runs.decimals}f}"


def _equal(runs: Runs) -> str:
    if runs.noun == "row":
        return "every listed setting equal"
    return "nothing but the seed (and the split, where redrawn) changed"


def _name(level: Level) -> str:
    return escape(named(level))
