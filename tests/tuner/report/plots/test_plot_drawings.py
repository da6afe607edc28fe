"""What stands in each picture, read from the figure rather than from its pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from plot_records import guessed, mixed_search, search, source, trial, write_predictions

from tuner.evidence.gathering import Evidence, Interval
from tuner.records import Reference
from tuner.report.plots import PLOTS, style
from tuner.report.plots.source import Source

ASHA = {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3}


@pytest.fixture(autouse=True)
def _drawn_in_style_and_without_warnings() -> Iterator[None]:
    with style.styled(), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(name: str, given: Source) -> Figure:
    figure = PLOTS[name].figure(given)
    assert figure is not None
    style.png(figure)
    return figure


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_visible()}


def text_of(figure: Figure) -> str:
    return "\n".join(texts(figure))


def test_learning_curves_name_the_top_trials_rungs_and_halted_ones(tmp_path: Path) -> None:
    record = search(trial(0, [0.1, 0.3]), trial(1, [0.2], "pruned"), trial(2, [0.3, 0.5]), scheduler=ASHA)
    figure = drawn("learning_curves", source(tmp_path, record))
    found = texts(figure)
    assert {"t0003 0.500\nlite0, freeze all (9/9), linear", "epochs", "halted", "other trials"} <= found
    assert "t0001 0.300 (baseline)\nlite0, freeze all (9/9), linear" in found
    assert {"How 3 trials of pets learnt", "f1_macro on validation\n(higher is better)"} <= found
    rungs = [line for line in figure.axes[0].lines if list(line.get_xdata()) == [1, 1]]
    assert len(rungs) == 1


def test_names_at_the_ends_do_not_overlap(tmp_path: Path) -> None:
    record = search(*(trial(number, [0.5, 0.5 + number * 1e-4]) for number in range(9)))
    figure = drawn("learning_curves", source(tmp_path, record))
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text().startswith("t00")]
    assert len(boxes) == 6
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[at + 1 :])


def test_losses_have_a_panel_a_trial(tmp_path: Path) -> None:
    record = search(*(trial(number, [0.1 * number, 0.1]) for number in range(7)))
    figure = drawn("losses", source(tmp_path, record))
    assert sum(axes.get_visible() for axes in figure.axes) == 6
    assert {"train", "validation", "best epoch", "loss, unweighted"} <= texts(figure)
    assert "t0001 (baseline)" in text_of(figure)


def test_history_tells_status_by_marker_and_draws_levels_and_intervals(tmp_path: Path) -> None:
    trials = (trial(0, [0.3]), trial(1, [0.2], "pruned"), trial(2, [0.5], "early_stopped"), trial(3, [], "failed"))
    record = search(*trials, references=(Reference("majority", val={"f1_macro": 0.1}),))
    evidence = Evidence(intervals={"t0003": Interval(0.4, 0.6)}, tied=frozenset({"t0001", "t0003"}))
    figure = drawn("history", source(tmp_path, record, evidence=evidence))
    found = texts(figure)
    assert {"complete", "pruned", "early stopped", "failed (1 without a value)", "best so far"} <= found
    assert {"majority 0.100", "baseline 0.300", "best so far 0.500", "t0003"} <= found
    assert "95 % intervals" in text_of(figure)
    assert "not told apart: t0003, t0001" in text_of(figure)
    low, high = figure.axes[0].get_ylim()
    assert low < 0.1
    assert high > 0.6
    assert figure.axes[0].get_position().height > 0.6


def test_an_unknown_status_is_shown_as_well(tmp_path: Path) -> None:
    assert "other" in texts(drawn("history", source(tmp_path, search(trial(0, [0.3], "melted")))))


def test_parallel_coordinates_name_axes_levels_and_top_trials(tmp_path: Path) -> None:
    figure = drawn("parallel", source(tmp_path, mixed_search()))
    assert {"backbone", "lite2", "50%", "optimizer.\nlr", "not used"} <= texts(figure)
    assert "f1_macro\n(higher is better)" in texts(figure)
    assert "1 value beyond the frame" in text_of(figure)


def test_effects_have_a_panel_an_axis_and_say_what_they_are(tmp_path: Path) -> None:
    figure = drawn("effects", source(tmp_path, mixed_search()))
    titles = {axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()}
    assert titles == {"backbone", "freeze, lite0", "freeze, lite2", "head.kind", "optimizer.lr", "head.width"}
    assert "associations, not effects: halving left out weak starters" in text_of(figure)


def test_ranking_curves_give_areas_and_name_their_split(tmp_path: Path) -> None:
    given = source(tmp_path, search(trial(0, [0.5])))
    write_predictions(given.store.predictions("t0001"), *guessed(40, 3, multilabel=True))
    figure = drawn("ranking", given)
    assert "pets: t0001 on 40 validation images" in texts(figure)
    assert "optimistic" in text_of(figure)
    assert any(text.startswith("each label (macro AP 0.") for text in texts(figure))
    assert any(text.startswith("lowest: ") for text in texts(figure))
    write_predictions(given.store.test_predictions("t0001"), *guessed(30, 3, multilabel=True))
    figure = drawn("ranking", given)
    assert "pets: t0001 on 30 test images" in texts(figure)
    assert "optimistic" not in text_of(figure)


def test_a_matrix_holds_its_counts(tmp_path: Path) -> None:
    given = source(tmp_path, search(trial(0, [0.5]), task="multiclass"))
    said = np.eye(3)[[0] * 12 + [1] * 7 + [2]]
    write_predictions(given.store.test_predictions("t0001"), said, np.array([0] * 12 + [1] * 8))
    found = texts(drawn("confusion", given))
    assert {"12", "7", "1", "cat (12)", "dog (8)", "owl (0)", "predicted class"} <= found
    assert "pets: t0001 on 20 test images, 95.0% right" in found


@pytest.mark.parametrize("right", [True, False])
def test_many_classes_are_shown_by_their_most_confused_pairs(tmp_path: Path, right: bool) -> None:
    given = source(tmp_path, search(trial(0, [0.5]), task="multiclass"))
    names = [f"class {at}" for at in range(40)]
    classes = np.arange(40)
    said = np.eye(40)[classes if right else np.where(classes == 3, 7, classes)]
    write_predictions(given.store.test_predictions("t0001"), said, classes, names)
    figure = drawn("confusion", given)
    assert ("class 3 → class 7" in texts(figure)) is not right
    assert ("no image is confused" in text_of(figure)) is right


def test_labels_show_thresholds_and_positives(tmp_path: Path) -> None:
    given = source(tmp_path, search(trial(0, [0.5])))
    logits, targets = guessed(40, 3, multilabel=True)
    targets[:, 2] = 0
    write_predictions(given.store.test_predictions("t0001"), logits, targets)
    found = texts(drawn("labels", given))
    assert {"cat", "owl", "no positive image", "0.50", "positives", "threshold", str(int(targets[:, 0].sum()))} <= found


STRANGE = ("$x$ and $", "中文标签", "a\nb", "\U000f0000", "x" * 200, "naïve 😀", "", "<b>|`")


def test_strange_names_of_axes_levels_and_searches_are_drawn(tmp_path: Path) -> None:
    params = [{"backbone": name, name or "empty": at} for at, name in enumerate(STRANGE)]
    trials = (trial(at, [0.5, 0.4 + at / 100], params=given) for at, given in enumerate(params))
    references = tuple(Reference(name, val={"$m$": 0.4}) for name in STRANGE)
    given = source(tmp_path, search(*trials, name="$1 中", metric="$m$", references=references))
    for name in ("learning_curves", "history", "parallel", "effects"):
        drawn(name, given)


@pytest.mark.parametrize(("name", "task"), [("labels", "multilabel"), ("confusion", "multiclass")])
def test_strange_labels_are_drawn(tmp_path: Path, name: str, task: str) -> None:
    given = source(tmp_path, search(trial(0, [0.5]), task=task))
    logits, targets = guessed(60, len(STRANGE), multilabel=task == "multilabel")
    write_predictions(given.store.test_predictions("t0001"), logits, targets, STRANGE)
    assert r"\$x\$ and \$" in text_of(drawn(name, given))


@pytest.mark.parametrize("trials", [1, pytest.param(120, marks=pytest.mark.real)])
def test_pictures_of_one_trial_and_of_many_fit_a_page(tmp_path: Path, trials: int) -> None:
    given = source(tmp_path, mixed_search(trials, direction="minimize", scheduler=ASHA, sampler="tpe"))
    shown = [name for name, plot in PLOTS.items() if plot.numbers(given) is not None]
    assert len(shown) == (3 if trials == 1 else 5)
    assert all(5 <= drawn(name, given).get_size_inches()[0] <= 11 for name in shown)
