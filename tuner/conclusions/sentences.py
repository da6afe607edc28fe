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
        return runs.say("No {noun:1} has finished.") if runs.noun == "trial" else runs.say("No {noun:5}.")
    rows = len(runs.rows)
    count = runs.say("{count} {noun:{count}}", count=rows) if rows != 1 else runs.say("One {noun:1}")
    if runs.design == "adaptive":
        return runs.say(
            "{count} finished. They were {chosen_by}, so what is said of settings is association, no effect; a grid or "
            "random search without halving can show effects.",
            count=count,
            chosen_by=runs.chosen_by,
        )
    if rows == 1:
        return runs.say("{count}: there is nothing to compare.", count=count)
    count += _taken(runs)
    if not any(isinstance(found, Effect) and found.contrasts[0].error is not None for found in findings):
        return f"{count}."
    unit = runs.say(", in {unit}", unit=runs.say(runs.unit)) if runs.unit else ""
    told = runs.say(
        "{count}. Differences are means ± standard error{unit}; `shown` means that the 95 % interval leaves out 0. Of "
        "20 settings without effect, one is shown by chance.",
        count=count,
        unit=unit,
    )
    return told + _shared_luck(runs)


def _taken(runs: Runs) -> str:
    """Why the rows may be compared."""
    if runs.noun == "row":
        return runs.say(", taken to differ in nothing but their settings")
    told = runs.say(", each trained for the epochs it asks for") if runs.epochs else runs.say(" of equal fidelity")
    if not runs.again:
        return told
    of = len({run.name for run in runs.again})
    return told + runs.say(", and {count} repeats of {of} of them", count=len(runs.again), of=of)


def _shared_luck(runs: Runs) -> str:
    """What no interval of a search knows."""
    if runs.images is None:
        return ""
    if not runs.again:
        return runs.say(
            " All trials share one seed and the same {images} validation images: the luck of neither is in these "
            "intervals (`--repeats` with `--top` would show it).",
            images=runs.images,
        )
    return runs.say(
        " All trials share one seed and the same {images} validation images: errors are at least what the repeats say "
        "of seeds, and the luck of the images is in them only where repeats redraw the split.",
        images=runs.images,
    )


def lines_of(runs: Runs, finding: Effect | Association) -> list[str]:
    """A finding in one line, and one more for each level of several that is shown to differ."""
    if isinstance(finding, Effect):
        return [line + _by_length(runs, finding) for line in _effect_lines(runs, finding)]
    return [_association_line(runs, finding)]


def untold_line(runs: Runs, untold: Sequence[Untold]) -> str:
    """The settings of which nothing can be told, by reason; empty where there are none."""
    by_reason: dict[str, list[str]] = {}
    for found in untold:
        by_reason.setdefault(found.reason, []).append(_title(runs, found))
    told = "; ".join(f"{', '.join(titles)} ({escape(reason)})" for reason, titles in by_reason.items())
    return runs.say("Nothing can be told of {settings}", settings=told) if told else ""


def repeats_line(runs: Runs) -> str:
    """How far equal runs are apart; empty where none are equal."""
    if not runs.repeats:
        return ""
    largest = max(runs.repeats, key=lambda repeats: repeats.spread)
    values = ", ".join(_value(runs, value) for value in largest.values[:_MOST_VALUES])
    values += ", ..." * (len(largest.values) > _MOST_VALUES)
    groups = len(runs.repeats)
    return runs.say(
        "{what} ({values}) differ by {spread} with {equal}{also}, so smaller differences are not supported by single "
        "runs",
        what=escape(largest.what),
        values=values,
        spread=_value(runs, largest.spread),
        equal=_equal(runs),
        also=runs.say(" (the largest spread of {count} such groups)", count=groups) if groups > 1 else "",
    )


def importances_line(runs: Runs, importances: Importances) -> str:
    """The axes that mattered most, and what makes that doubtful."""
    if importances.reason:
        return runs.say("Importance of the axes: none computed, {reason}", reason=importances.reason)
    shares = list(importances.shares.items())
    told = ", ".join(f"{escape(path)} {share:.2f}" for path, share in shares[:_MOST_AXES])
    told += ", ..." * (len(shares) > _MOST_AXES)
    doubts = [runs.say("shares have no interval")]
    if importances.trials < FEW_TRIALS:
        doubts.append(runs.say("beware, on fewer than {count} trials they are mostly noise", count=FEW_TRIALS))
    if importances.conditional:
        doubts.append(
            runs.say("beware, some axes exist only beside certain values of others, so shares are hard to compare")
        )
    return runs.say(
        "Importance of the axes ({method}, {count} finished trials): {shares}; {doubts}",
        method=importances.method,
        count=importances.trials,
        shares=told,
        doubts="; ".join(doubts),
    )


def _effect_lines(runs: Runs, effect: Effect) -> list[str]:
    first = effect.contrasts[0]
    if first.against is not None:
        return [f"{_title(runs, effect)}: {_pair(runs, effect, first)}"]
    if first.error is None:
        return [_unmeasured_levels(runs, effect)]
    over = _drawn(runs, effect)
    if effect.groups:
        over = runs.say("over {count} groups of {noun:5} equal otherwise", count=effect.groups)
    lines = [
        runs.say(
            "{setting} {level}: {difference} against the mean of the others {over}: {verdict} ({interval} over the "
            "{levels} levels together)",
            setting=_title(runs, effect),
            level=_name(contrast.level),
            difference=_with_error(runs, contrast),
            over=over,
            verdict=_verdict(runs, contrast),
            interval=_interval(runs, contrast),
            levels=len(effect.contrasts),
        )
        for contrast in effect.shown
    ]
    rest = [contrast for contrast in effect.contrasts if not contrast.shown]
    return lines + ([_levels_not_shown(runs, effect, rest, over)] if rest else [])


def _by_length(runs: Runs, effect: Effect) -> str:
    """A trial is scored at its best epoch, and the maximum over more of them is higher by itself."""
    if effect.setting != runs.epochs or not all(is_number(contrast.level) for contrast in effect.contrasts):
        return ""
    if runs.direction == "maximize":
        return runs.say("; the best of more epochs can only be higher on validation")
    return runs.say("; the best of more epochs can only be lower on validation")


def _pair(runs: Runs, effect: Effect, contrast: Contrast) -> str:
    levels = f"{_name(contrast.level)} - {_name(contrast.against or '')}"
    if contrast.error is None:
        return runs.say(
            "{levels}: {difference} over one pair, no interval: {verdict}",
            levels=levels,
            difference=_signed(runs, contrast.difference),
            verdict=_unmeasured(runs, contrast.difference),
        )
    over = runs.say("over {count} pairs", count=effect.groups) if effect.groups else _drawn(runs, effect)
    if effect.groups == 1:
        over = runs.say("over one pair of {count} {noun:5}", count=effect.runs)
    verdict = f"{_verdict(runs, contrast)} ({_interval(runs, contrast)})"
    return f"{levels}: {_with_error(runs, contrast)} {over}: {verdict}"


def _levels_not_shown(runs: Runs, effect: Effect, rest: Sequence[Contrast], over: str) -> str:
    largest = max(rest, key=lambda contrast: abs(contrast.difference))
    of_all = len(rest) == len(effect.contrasts)
    names = ", ".join(_name(contrast.level) for contrast in rest[:_MOST_VALUES]) + ", ..." * (len(rest) > _MOST_VALUES)
    return runs.say(
        "{setting} {levels}, each against the mean of the others{over}: not shown; the largest difference is that of "
        "{level}: {difference} ({interval})",
        setting=_title(runs, effect),
        levels=names,
        over=f" {over}" if of_all else "",
        level=_name(largest.level),
        difference=_with_error(runs, largest),
        interval=_interval(runs, largest),
    )


def _unmeasured_levels(runs: Runs, effect: Effect) -> str:
    """One group of single runs: the ends are told, and no error is known."""
    by_gain = sorted(effect.contrasts, key=lambda contrast: contrast.difference)
    lowest, highest = by_gain[0], by_gain[-1]
    count = len(effect.contrasts)
    # each is told against the mean of the other levels: (value - mean of all) times count / (count - 1)
    apart = (highest.difference - lowest.difference) * (count - 1) / count
    return runs.say(
        "{setting}: {count} levels in one group of {noun:5} equal otherwise, no interval; the largest difference, "
        "{levels}, is {difference}: {verdict}",
        setting=_title(runs, effect),
        count=count,
        levels=f"{_name(highest.level)} - {_name(lowest.level)}",
        difference=_signed(runs, apart),
        verdict=_unmeasured(runs, apart),
    )


def _association_line(runs: Runs, found: Association) -> str:
    lead = runs.say("{setting}: association, n = {count}: ", setting=_title(runs, found), count=found.runs)
    if found.correlation is None:
        told = [
            runs.say("{mean} with {level} ({count})", mean=_value(runs, mean), level=_name(level), count=count)
            for level, mean, count in found.means
        ]
        more = runs.say(" and {count} more", count=len(told) - _MOST_LEVELS) if len(told) > _MOST_LEVELS else ""
        return lead + runs.say("mean {means}", means=", ".join(told[:_MOST_LEVELS])) + more
    goes = runs.say("higher goes with better") if found.correlation > 0 else runs.say("lower goes with better")
    text = lead + runs.say("rank correlation {correlation:+.2f}, {goes}", correlation=found.correlation, goes=goes)
    if found.low is None or found.high is None:
        return text
    shown = runs.say("shown") if found.low > 0 or found.high < 0 else runs.say("not shown")
    return f"{text}: {shown} (95 % [{found.low:+.2f}, {found.high:+.2f}])"


def _title(runs: Runs, finding: Finding) -> str:
    if not finding.within:
        return escape(finding.setting)
    return runs.say("{setting} of {within}", setting=escape(finding.setting), within=escape(finding.within))


def _drawn(runs: Runs, effect: Effect) -> str:
    return runs.say("over {count} {noun:5} drawn at random", count=effect.runs)


def _verdict(runs: Runs, contrast: Contrast) -> str:
    if not contrast.shown:
        return runs.say("not shown")
    is_better = (contrast.difference > 0) == (runs.direction == "maximize")
    return runs.say("shown, better") if is_better else runs.say("shown, worse")


def _unmeasured(runs: Runs, difference: float) -> str:
    """The verdict on a difference that has no error of its own."""
    if abs(difference) < runs.spread:
        return runs.say("not supported, since equal runs differ by {spread}", spread=_value(runs, runs.spread))
    return runs.say("not shown")


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
        return runs.say("every listed setting equal")
    return runs.say("nothing but the seed (and the split, where redrawn) changed")


def _name(level: Level) -> str:
    return escape(named(level))
