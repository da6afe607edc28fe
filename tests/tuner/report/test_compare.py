from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_searches import RunTuner

from search_spaces.document import write_yaml
from trainable.errors import UserError
from tuner.evidence.bootstrap import Bootstrap
from tuner.replay import replay
from tuner.report.best import best_yaml
from tuner.report.comparison import Comparison, Unlike, compare
from tuner.report.comparison_formats import to_json, to_markdown
from tuner.store import Store

SPACE = """
version: 1
scheduler: none
baseline: {optimizer: {lr: 1e-3}}
fixed: {epochs: 9}
axes:
  head.kind: {choice: [linear, mlp]}
  head.width: {int: [64, 512], when: {head.kind: mlp}}
"""
IMAGES = 40

WriteSearch = Callable[..., Store]


@pytest.fixture
def write_search(tmp_path: Path, events: list[dict[str, Any]]) -> WriteSearch:
    """write_search("flowers"): the small search in a folder; fields of `search_started` and the space replace."""

    def write(name: str, space: str = SPACE, results: Path = tmp_path, lr: float = 1e-5, **started: Any) -> Store:
        store = Store.create(results, name)
        log = [json.loads(json.dumps(event)) for event in events]
        log[0] |= {"name": name, **started}
        for event in log:
            if event["kind"] == "trial_started":
                event["config"]["optimizer"]["lr"] = lr
        store.events_jsonl.write_text("".join(json.dumps(event) + "\n" for event in log))
        store.search_yaml.write_text(write_yaml({"search": {"hours": None}, "space": space}))
        return store

    return write


def predict(store: Store, trial: str, right: float, split: str = "val", images: int = IMAGES) -> None:
    """Predictions of two labels of which this share is right; images and targets are the same for all."""
    ids = [f"{number:03}.png" for number in range(images)]
    store.splits.write_text("image,split,group\n" + "".join(f"{image},{split},\n" for image in ids))
    rng = np.random.default_rng(0)
    targets = rng.random((images, 2)) < 0.5
    said = np.where(rng.random((images, 2)) < right, targets, ~targets)
    path = store.predictions(trial) if split == "val" else store.test_predictions(trial)
    path.parent.mkdir(exist_ok=True)
    logits = np.where(said, 2.0, -2.0).astype(np.float32)
    np.savez(path, logits=logits, targets=targets.astype(np.float32), ids=ids, labels=["a", "b"])


def give_value(store: Store, trial: str, value: float) -> None:
    log = [json.loads(line) for line in store.events_jsonl.read_text().splitlines()]
    for event in log:
        if event["kind"] == "epoch" and event["trial"] == trial:
            event |= {"value": value, "best_value": value, "val": {"f2_macro": value}}
    store.events_jsonl.write_text("".join(json.dumps(event) + "\n" for event in log))


def fields(rows: tuple[Unlike, ...]) -> dict[str, tuple[Any, Any]]:
    return {row.field: (row.one, row.other) for row in rows}


def test_scores_stand_side_by_side_with_their_change(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    give_value(write_search("b"), "t0001", 0.75)
    found = compare("a", "b", tmp_path)
    (score,) = (score for score in found.scores if score.metric == "f2_macro")
    assert (score.split, score.one, score.other) == ("val", 0.6, 0.75)
    assert score.change == pytest.approx(0.15)
    text = to_markdown(found)
    assert re.search(r"\| val +\| f2_macro +\| 0\.600 +\| 0\.750 \(\+0\.150\) +\|", text)
    assert "b has the better f2_macro on validation, by 0.150; whether by more than chance is not known" in text
    assert "the best of 4 and of 4 trials" in text


def test_only_differing_fields_of_the_configs_are_listed(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    write_search("b", lr=2e-5)
    found = compare("a", "b", tmp_path)
    assert fields(found.config) == {"optimizer.lr": (1e-5, 2e-5)}
    assert found.equal["backbone"] == "lite0"
    assert "| optimizer.lr | 1e-5 | 2e-5 |" in to_markdown(found)
    assert "Equal: backbone lite0, " in to_markdown(found)


def test_values_that_look_alike_are_written_in_full(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a", lr=1.23451e-5)
    write_search("b", lr=1.23452e-5)
    assert "| optimizer.lr | 1.23451e-05 | 1.23452e-05 |" in to_markdown(compare("a", "b", tmp_path))


def test_what_was_searched_is_compared_axis_by_axis(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    space = SPACE.replace("[64, 512], when: {head.kind: mlp}", "[64, 256], when: {head.kind: [mlp]}, log: true")
    space = space.replace("epochs: 9", "epochs: 4").replace("  head.kind: {choice: [linear, mlp]}\n", "")
    write_search("b", space + "  freeze: {choice: [all]}\n", sampler="random", overrides=["image_size: 96 -> 64"])
    found = compare("a", "b", tmp_path)
    assert set(fields(found.unlike["space"])) == {
        *("axes.head.kind", "axes.head.width", "axes.freeze", "fixed.epochs", "sampler", "overrides")
    }
    text = to_markdown(found)
    assert "64 to 512, when head.kind mlp" in text
    assert "64 to 256, log, when head.kind mlp" in text
    assert "| axes.freeze     | -" in text


def test_equal_spaces_that_are_written_otherwise_are_equal(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    space = SPACE.replace("{optimizer: {lr: 1e-3}}", "{optimizer.lr: 0.001}")
    write_search("b", "# a comment\n" + space.replace("head.kind: mlp}", "head.kind: [mlp]}, log: false, step: 1"))
    found = compare("a", "b", tmp_path)
    assert found.unlike == {"space": (), "data": (), "run": ()}
    assert "No difference: what was searched, on what data, how it was run." in to_markdown(found)


def test_how_both_were_run_is_compared(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    write_search("b", seed=8, threads=4, versions={"torch": "2.10", "python": "3.11"}, git="f" * 40 + "+")
    found = compare("a", "b", tmp_path)
    assert fields(found.unlike["run"]) == {
        "seed": (7, 8),
        "threads": (1, 4),
        "git": ("abcdef0123456789abcdef", "f" * 40 + "+"),
        "version.torch": ("2.9.0", "2.10"),
    }
    assert "| git           | abcdef012345 | ffffffffffff+ |" in to_markdown(found)


def test_trials_of_both_are_ranked_together(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    give_value(write_search("b"), "t0001", 0.55)
    found = compare("a", "b", tmp_path)
    assert [(label, trial.id) for label, trial in found.ranked] == [
        *(("a", "t0002"), ("b", "t0002"), ("b", "t0001"), ("a", "t0001")),
    ]
    assert "## Best trials of both" in to_markdown(found)


def test_a_lower_loss_is_better(write_search: WriteSearch, tmp_path: Path) -> None:
    objective = {"metric": "f2_macro", "direction": "minimize"}
    write_search("a", objective=objective)
    give_value(write_search("b", objective=objective), "t0001", 0.25)
    found = compare("a", "b", tmp_path)
    assert next(label for label, _ in found.ranked) == "b"
    assert "b has the better f2_macro" in to_markdown(found)


def other_data() -> dict[str, Any]:
    return {"root": "elsewhere", "hash": "fedcba9876543210", "sizes": {"train": 4}}


@pytest.mark.parametrize(
    ("started", "told"),
    [
        ({"data": other_data()}, "a has data 0123456789ab and b has data fedcba987654: scores on other images"),
        ({"data": {}}, "a has data 0123456789ab and b has data unknown: scores on other images"),
        (
            {"objective": {"metric": "f1_macro", "direction": "maximize"}},
            "a has objective f2_macro and b has objective f1_macro: they cannot be ranked; --force shows both",
        ),
    ],
)
def test_what_cannot_be_ranked_is_refused_and_shown_by_force(
    write_search: WriteSearch, tmp_path: Path, started: dict[str, Any], told: str
) -> None:
    write_search("a")
    write_search("b", **started)
    with pytest.raises(UserError) as caught:
        compare("a", "b", tmp_path)
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(told)
    assert mistake.endswith("; --force shows both without ranking them")
    forced = compare("a", "b", tmp_path, force=True)
    assert forced.ranked == ()
    assert forced.differences == {}
    assert to_markdown(forced).split("\n\n")[1].startswith(f"**Not ranked.** {told.split(';')[0]}")


def test_scores_on_other_data_have_no_change(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    write_search("b", data=other_data(), labels=["rose", "tulip"])
    forced = compare("a", "b", tmp_path, force=True)
    assert {score.change for score in forced.scores} == {None}
    text = to_markdown(forced)
    assert "3, of which only here: no, 1e5" in text
    assert "2, of which only here: tulip" in text


def predicted(store: Store, trial: str, right: float) -> None:
    """A trial with predictions and the value that they give."""
    predict(store, trial, right)
    resampled = Bootstrap(store).resampled(trial, "val", "f2_macro")
    assert resampled
    give_value(store, trial, resampled.value)


@pytest.mark.parametrize(
    ("right", "told"),
    [(0.9, "the interval of the difference leaves out 0"), (0.62, "**not told apart**")],
)
def test_the_difference_has_an_interval_where_both_predicted_the_same_images(
    write_search: WriteSearch, tmp_path: Path, right: float, told: str
) -> None:
    for name, share in (("a", 0.6), ("b", right)):
        predicted(write_search(name), "t0002", share)
    found = compare("a", "b", tmp_path)
    difference = found.differences["val"]
    assert difference.value == pytest.approx(next(s.change for s in found.scores if s.metric == "f2_macro"))
    assert difference.low < difference.value < difference.high
    assert difference.images == IMAGES
    assert told in to_markdown(found)
    assert "The interval is of a paired bootstrap over the same images: 40 (val)." in to_markdown(found)


def test_predictions_that_do_not_give_the_value_give_no_interval(write_search: WriteSearch, tmp_path: Path) -> None:
    for name in ("a", "b"):
        predict(write_search(name), "t0002", 0.8 if name == "a" else 0.6)
    assert compare("a", "b", tmp_path).differences == {}


@pytest.fixture
def earlier(write_search: WriteSearch, tmp_path: Path) -> Path:
    """The best.yaml of a search that is no longer there."""
    search = replay(write_search("gone", results=tmp_path / "elsewhere").events())
    assert search.best
    path = tmp_path / "kept" / "best.yaml"
    path.parent.mkdir()
    path.write_text(best_yaml(search, search.best))
    return path


def test_a_search_is_compared_with_an_earlier_best_yaml(
    write_search: WriteSearch, tmp_path: Path, earlier: Path
) -> None:
    write_search("a", seed=9)
    found = compare(str(earlier), "a", tmp_path)
    assert found.one.label == "kept/best.yaml"
    assert found.one.trial.id == "t0002"
    assert fields(found.unlike["run"]) == {"seed": (7, 9)}
    assert found.unlike["space"] == ()
    assert found.ranked == ()
    text = to_markdown(found)
    assert "The space of kept/best.yaml is not at hand: only what both say is compared." in text
    assert "what was searched" not in text
    assert "the best of 4 trials" in text


def test_a_file_in_its_searchs_folder_brings_its_predictions_and_space(
    write_search: WriteSearch, tmp_path: Path
) -> None:
    for name, share in (("a", 0.6), ("b", 0.9)):
        store = write_search(name)
        predicted(store, "t0002", share)
        search = store.record()
        assert search.best
        store.top.mkdir()
        (store.top / "01-t0002.yaml").write_text(best_yaml(search, search.best))
    found = compare(*(str(tmp_path / name / "top" / "01-t0002.yaml") for name in ("a", "b")), tmp_path)
    assert [side.label for side in (found.one, found.other)] == ["top/01-t0002.yaml (1)", "top/01-t0002.yaml (2)"]
    assert found.differences["val"].low > 0
    assert "No difference: what was searched" in to_markdown(found)


def test_a_file_that_no_longer_is_its_searchs_stands_alone(
    write_search: WriteSearch, tmp_path: Path, earlier: Path
) -> None:
    give_value(write_search("gone"), "t0002", 0.9)
    assert compare(str(earlier), "gone", tmp_path).one.store is None


def test_a_config_without_a_result_is_refused(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    (tmp_path / "bare.yaml").write_text("backbone: lite0\n")
    with pytest.raises(UserError, match=r"is a config without a result; give a best\.yaml"):
        compare("a", str(tmp_path / "bare.yaml"), tmp_path)


def test_a_search_without_a_finished_trial_is_refused(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    Store.create(tmp_path, "empty")
    with pytest.raises(UserError, match="search 'empty': no trial has finished"):
        compare("a", "empty", tmp_path)


def everything(found: Comparison) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(to_json(found), parse_constant=pytest.fail)
    return record


def test_json_holds_all_of_it(write_search: WriteSearch, tmp_path: Path) -> None:
    write_search("a")
    write_search("b", seed=8)
    record = everything(compare("a", "b", tmp_path))
    assert [side["name"] for side in record["sides"]] == ["a", "b"]
    assert record["run"] == [{"field": "seed", "one": 7, "other": 8}]
    assert record["config"]["unlike"] == []
    assert record["ranked"][0]["trial"] == "t0002"
    assert {score["metric"] for score in record["scores"]} == {"f2_macro", "loss", "f2_macro@0.5"}


def test_the_command_prints_and_refuses(write_search: WriteSearch, tmp_path: Path, run_tuner: RunTuner) -> None:
    write_search("a")
    write_search("b", data=other_data())
    assert run_tuner("compare", "a", "a", "--results", tmp_path).out.startswith("# a (1) and a (2)\n")
    refused = run_tuner("compare", "a", "b", "--results", tmp_path)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: a has data 0123456789ab and b has data fedcba987654: ")
    forced = run_tuner("compare", "a", "b", "--results", tmp_path, "--force", "--format", "json")
    assert json.loads(forced.out)["obstacles"]
