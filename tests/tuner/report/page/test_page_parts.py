"""The numbers behind the page, part by part."""

from __future__ import annotations

import base64
import io
import logging
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from told_page import ToldSearch

from trainable.data.splits import SplitRow
from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.report.page import markdown, rendering, writing
from tuner.report.page.data import MOST_LABELS, data_of
from tuner.report.page.strokes import MOST_LINES, MOST_POINTS, learning_plot, parallel_plot
from tuner.report.page.surest import MOST_MISTAKES, mistakes_of
from tuner.report.page.thumbnails import SIDE_PIXELS, Thumbnails
from tuner.report.plots.predictions import Predicted
from tuner.report.plots.source import Source


def trial(number: int, *values: float | None) -> TrialRecord:
    known = [value for value in values if value is not None]
    epochs = tuple(
        EpochRecord(epoch, value=value, best_value=known[0], best_epoch=1) for epoch, value in enumerate(values, 1)
    )
    return TrialRecord(f"t{number:04}", number, status="complete", epochs=epochs, baseline=number == 1)


def test_a_curve_goes_from_epoch_to_epoch_and_has_gaps_where_there_is_no_value() -> None:
    plot = learning_plot(SearchRecord(trials=(trial(1, 0.0, None, 1.0, 1.0),)))
    assert plot is not None
    (stroke,) = plot.strokes
    assert re.fullmatch(r"M250 \d+M750 (\d+)L1000 \1", stroke.path)
    assert [(tick.at, tick.name) for tick in plot.across] == [(0, "0"), (25, "1"), (50, "2"), (75, "3"), (100, "4")]


def test_many_long_curves_are_thinned_and_the_best_are_kept_on_top() -> None:
    trials = [trial(number, *[number / 1000] * 350) for number in range(1, MOST_LINES + 50)]
    plot = learning_plot(SearchRecord(trials=tuple(trials)))
    assert plot is not None
    assert [stroke.place for stroke in plot.strokes[-5:]] == [5, 4, 3, 2, 1]
    assert "t0001" in {stroke.trial for stroke in plot.strokes}  # the baseline, the worst of all
    assert plot.lines_left_out == len(trials) - len(plot.strokes) == 48
    assert all(stroke.path.count("L") <= MOST_POINTS for stroke in plot.strokes)
    assert all(re.search(r"[ML]1000 \d+$", stroke.path) for stroke in plot.strokes)


def test_lines_pass_the_axes_where_their_settings_are(told: ToldSearch) -> None:
    plot = parallel_plot(Source(told.store, told.store.record()))
    assert plot is not None
    assert [axis.title for axis in plot.axes] == ["backbone", "optimizer.lr", "accuracy"]
    assert [axis.at for axis in plot.axes] == [0, 50, 100]
    by_trial = {stroke.trial: re.findall(r"(\d+) (-?\d+)", stroke.path) for stroke in plot.strokes}
    assert by_trial["t0001"][1] == ("500", "0")  # the largest rate is on top
    assert by_trial["t0004"][1] == ("500", "1000")
    assert "unfinished" in next(stroke.look for stroke in plot.strokes if stroke.trial == "t0004")


def test_two_splits_of_the_same_bytes_come_first() -> None:
    rows = [
        SplitRow(f"{at}.png", split, "", sha, ("a",))
        for at, (split, sha) in enumerate([("train", "x"), ("train", "x"), ("train", "y"), ("val", "y"), ("val", "")])
    ]
    data = data_of(rows)
    assert [(found.images, found.across) for found in data.twins] == [
        (("2.png", "3.png"), True),
        (("0.png", "1.png"), False),
    ]
    assert data.twin_images == 2


def test_images_that_look_alike_are_one_group_with_those_of_the_same_bytes() -> None:
    rows = [SplitRow(f"{at}.png", "train", "", sha, ("a",)) for at, sha in enumerate(["x", "x", "y", "z", "w"])]
    data = data_of(rows, [("2.png", "1.png"), ("4.png", "3.png"), ("gone.png", "3.png")])
    assert [(found.images, found.are_equal) for found in data.twins] == [
        (("0.png", "1.png", "2.png"), False),
        (("3.png", "4.png"), False),
    ]
    assert data_of(rows).twins[0].are_equal


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), min_size=1, max_size=30))
def test_counts_of_labels_add_up(labels: list[list[str]]) -> None:
    rows = [
        SplitRow(f"{at}.png", ("train", "val", "test")[at % 3], "", str(at), tuple(sorted(of_image)))
        for at, of_image in enumerate(labels)
    ]
    data = data_of(rows)
    assert sum(data.splits.values()) == len(rows)
    assert all(sum(label.by_split) == label.images for label in data.labels)
    assert [label.images for label in data.labels] == sorted((label.images for label in data.labels), reverse=True)
    assert data.unlabelled == sum(not of_image for of_image in labels)
    if data.together:
        counts = np.array(data.together.counts)
        assert (counts == counts.T).all()
        assert [int(count) for count in counts.diagonal()] == [label.images for label in data.labels]
    shown = [image for sample in data.samples for image in sample.images]
    assert len(shown) == len(set(shown))
    assert all(row.split == "train" for row in rows if row.image in shown)


def test_rare_labels_of_many_are_counted() -> None:
    data = data_of([SplitRow(f"{at}.png", "train", "", "", (f"label {at}",)) for at in range(MOST_LABELS + 7)])
    assert (len(data.labels), data.labels_left_out) == (MOST_LABELS, 7)


@given(st.integers(1, 30), st.integers(2, 5), st.sampled_from(["multilabel", "multiclass"]), st.integers(0, 9))
def test_mistakes_are_mistakes_and_the_surest_come_first(images: int, labels: int, task: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.random((images, labels)).astype(np.float32)
    decisions, targets = probabilities >= 0.5, rng.random((images, labels)) < 0.5
    if task == "multiclass":
        decisions = np.eye(labels, dtype=bool)[probabilities.argmax(axis=1)]
        targets = np.eye(labels, dtype=bool)[rng.integers(0, labels, images)]
    names = tuple(f"label {at}" for at in range(labels))
    ids = tuple(f"{at}.png" for at in range(images))
    predicted = Predicted(trial(1, 0.5), "test", ids, names, probabilities, targets, decisions)
    for kind in mistakes_of(predicted, task):
        sureness = []
        for mistake in kind.worst:
            row, label = ids.index(mistake.image), names.index(mistake.label)
            assert decisions[row, label] != targets[row, label]
            assert targets[row, label] == (kind.kind == "missed")
            assert math.isclose(mistake.probability, probabilities[row, label])
            sureness.append(1 - mistake.probability if kind.kind == "missed" else mistake.probability)
        assert sureness == sorted(sureness, reverse=True)
        assert len(kind.worst) == min(kind.wrong, MOST_MISTAKES) == len({mistake.image for mistake in kind.worst})


def opened(url: str) -> Image.Image:
    head, _, encoded = url.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "jpg"), ("RGBA", "png"), ("P", "gif"), ("I;16", "png"), ("CMYK", "jpg")]
)
def test_pictures_of_all_modes_become_small_ones_of_the_same_shape(mode: str, suffix: str, tmp_path: Path) -> None:
    Image.new(mode, (400, 200)).save(tmp_path / f"wide.{suffix}")
    assert opened(Thumbnails(tmp_path).of(f"wide.{suffix}")).size == (SIDE_PIXELS, SIDE_PIXELS // 2)


def test_a_picture_that_has_changed_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "white").save(path)
    white = Thumbnails(tmp_path).of("a.png")
    Image.new("RGB", (8, 8), "black").save(path)
    os.utime(path, ns=(1, 1))
    assert Thumbnails(tmp_path).of("a.png") != white


def test_what_is_no_picture_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    assert [Thumbnails(tmp_path).of(name) for name in ("text.png", "absent.png", "null\0.png", "")] == [""] * 4
    assert Thumbnails(None).of("a.png") == ""


def test_markdown_of_the_reports_becomes_html() -> None:
    html = markdown.to_html(
        "## Worth it?\n\nOn `val` a \\| b.\n\n| x | |\n|---|---|\n| 1 | \\<b> |\n\n- [0.1, 0.2]\n", table="a <table>"
    )
    assert "<h3>Worth it?</h3>" in html
    assert '<div class="scroll" tabindex="0" role="group" aria-label="a &lt;table&gt;"><table>' in html
    assert "<td>&lt;b&gt;</td>" in html
    assert "<th>x</th>\n<td></td>" in html, "what says nothing is no heading"
    assert "<li>[0.1, 0.2]</li>" in html
    assert markdown.to_inline_html("a \\* <i>") == "a * &lt;i&gt;"


def test_a_page_that_cannot_be_made_leaves_the_old_one(
    told: ToldSearch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    record = told.store.record()
    writing.write_page(told.store, record)
    before = told.store.report_html.read_bytes()
    monkeypatch.setattr(writing, "to_html", lambda _: 1 / 0)
    with caplog.at_level(logging.ERROR):
        writing.write_page(told.store, record)
    assert told.store.report_html.read_bytes() == before
    assert "ZeroDivisionError" in caplog.text
    assert [path.name for path in told.store.folder.glob(".*.tmp")] == []


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_colours_can_be_told_from_their_ground(scheme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", rendering.theme(), re.DOTALL)
    assert len(blocks) == 3
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[scheme]))
    texts = [(text, ground) for text in ("ink", "faint") for ground in ("page", "card", "tied")]
    texts += [("accent", "page"), ("accent", "tied"), ("ink", "lit"), ("accent", "lit")]
    texts += [("ink", f"shade-{shade}") for shade in range(1, 6)]
    for text, ground in texts:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line in ("others", "accent", *(f"place-{place}" for place in range(1, 6))):
        for ground in ("page", "tied"):
            assert contrast(colours[line], colours[ground]) >= 3 or (line, ground) == ("others", "tied"), (line, ground)
