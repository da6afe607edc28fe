from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from search_spaces.document import parse_yaml
from trainable.errors import UserError
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.report.best import best_yaml, read_best, write_outputs
from tuner.store import Store

pyyaml = pytest.importorskip("yaml")  # Ray brings it; readers of YAML 1.1 must see the same values


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path, "flowers")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def best_text(search: SearchRecord) -> str:
    assert search.best
    return best_yaml(search, search.best)


def with_config(events: list[dict[str, Any]], **fields: Any) -> SearchRecord:
    for event in events:
        if event["kind"] == "trial_started":
            event["config"] |= fields
    return replay(events)


def test_the_file_says_what_was_trained_how_well_and_from_where(search: SearchRecord) -> None:
    record = YAML(typ="safe", pure=True).load(best_text(search))
    assert list(record) == ["config", "result", "provenance"]
    assert search.best
    assert record["config"] == search.best.config
    result, provenance = record["result"], record["provenance"]
    assert (result["trial"], result["rank"], result["status"]) == ("t0002", 1, "early_stopped")
    assert result["objective"] == {"metric": "f2_macro", "value": 0.6, "direction": "maximize"}
    assert (result["best_epoch"], result["epochs_run"]) == (2, 2)
    assert result["val"] == {"f2_macro": 0.6, "loss": 0.25, "f2_macro@0.5": 0.125}
    assert result["per_class"] == {"no": {"f2": 0.6}}
    assert "test" not in result
    assert provenance["data"] == {"root": "data/flowers", "hash": "0123456789abcdef", "options": None}
    assert provenance["labels"] == ["rose", "no", "1e5"]
    assert (provenance["data_seed"], provenance["seed"], provenance["precision"]) == (3, 7, "fp32")
    assert provenance["created"] == "2026-01-01T00:03:00Z"
    assert provenance["splits"] == "splits.csv"


def test_test_scores_and_the_weights_digest_are_there_once_known(events: list[dict[str, Any]]) -> None:
    events += [
        {"kind": "test_scored", "trial": "t0002", "test": {"f2_macro": 0.55}, "reads": 1},
        {"kind": "trial_ended", "trial": "t0002", "status": "complete", "facts": {"weights_sha256": "ab12"}},
    ]
    record = pyyaml.safe_load(best_text(replay(events)))
    assert (record["result"]["test"], record["result"]["test_reads"]) == ({"f2_macro": 0.55}, 1)
    assert record["provenance"]["weights_sha256"] == "ab12"


def test_a_trial_without_a_result_cannot_be_written(search: SearchRecord) -> None:
    with pytest.raises(ValueError, match="t0003"):
        best_yaml(search, search.trials[2])


@pytest.mark.parametrize("lr", [1e-5, 1e16, 1.5e-7, 0.1, 5e-324, 1 / 3])
def test_small_floats_are_floats_for_every_reader(events: list[dict[str, Any]], lr: float) -> None:
    text = best_text(with_config(events, lr=lr))
    for read in (pyyaml.safe_load, YAML(typ="safe", pure=True).load):
        found = read(text)["config"]["lr"]
        assert type(found) is float
        assert found == lr


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["no", "ON", "1e5", "0x1F", "12:30", "~", "2026-01-01", "a: b", "- x", "é", "\U0001f33b"]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_reads_back_equal_for_every_reader(events: list[dict[str, Any]], number: float, text: str) -> None:
    found = best_text(with_config(events, number=number, text=text, **{f"key {text}": [text, {text: number}]}))
    for read in (pyyaml.safe_load, YAML(typ="safe", pure=True).load, lambda text: parse_yaml(text, "file").data):
        config = read(found)["config"]
        assert config["number"] == number
        assert math.copysign(1, config["number"]) == math.copysign(1, number)
        assert config["text"] == text
        assert config[f"key {text}"] == [text, {text: number}]


def test_outputs_are_written_and_follow_the_search(store: Store, events: list[dict[str, Any]]) -> None:
    write_outputs(store, replay(events), top_k=5)
    assert sorted(path.name for path in store.top.iterdir()) == ["01-t0002.yaml", "02-t0001.yaml"]
    assert "splits: ../splits.csv" in pyyaml.safe_dump(pyyaml.safe_load((store.top / "01-t0002.yaml").read_text()))
    (store.top / "mine.yaml").write_text("kept")
    better = {"kind": "trial_ended", "trial": "t0004", "status": "complete"}
    write_outputs(store, replay([*events, better]), top_k=2)
    assert sorted(path.name for path in store.top.iterdir()) == ["01-t0004.yaml", "02-t0002.yaml", "mine.yaml"]
    assert read_best(store.best_yaml)["result"]["trial"] == "t0004"
    assert "t0004" in store.leaderboard_md.read_text()
    assert store.leaderboard_csv.read_text().startswith("rank,trial,")


def test_the_table_ends_with_the_plots_that_are_there(store: Store, search: SearchRecord) -> None:
    write_outputs(store, search, top_k=1)
    assert "## Plots" not in store.leaderboard_md.read_text()
    store.plots.mkdir(exist_ok=True)
    for name in ("losses.png", "learning_curves.png", ".losses.png.7.tmp"):
        (store.plots / name).touch()
    write_outputs(store, search, top_k=1)
    shown = "## Plots\n\n![learning curves](plots/learning_curves.png)\n\n![losses](plots/losses.png)\n"
    assert store.leaderboard_md.read_text().endswith(shown)


def test_nothing_is_touched_when_nothing_changed(store: Store, search: SearchRecord) -> None:
    write_outputs(store, search, top_k=3)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in store.folder.rglob("*") if path.is_file()}
    write_outputs(store, search, top_k=3)
    after = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in store.folder.rglob("*") if path.is_file()}
    assert before == after


def test_a_search_without_an_eligible_trial_has_no_best(store: Store) -> None:
    write_outputs(store, replay([]), top_k=3)
    assert not store.best_yaml.exists()
    assert store.leaderboard_md.exists()


def test_what_was_written_reads_back(store: Store, search: SearchRecord) -> None:
    write_outputs(store, search, top_k=1)
    found = read_best(store.best_yaml)
    assert list(found) == ["config", "result", "provenance"]
    assert search.best
    assert found["config"] == search.best.config


def test_a_bare_config_is_accepted(tmp_path: Path) -> None:
    found = read_best(written(tmp_path, "backbone: lite0\noptimizer: {lr: 1e-5}\n"))
    assert found == {"config": {"backbone": "lite0", "optimizer": {"lr": 1e-5}}}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- a\n", ["not a mapping"]),
        ("a: 1\na: 2\n", [":2:1 a: is given twice"]),
        ("config: {}\nresults: {}\nprovenance: {}\n", [":2:1 results: is no key", "'result'?", "result: is missing"]),
        ("config: {}\nresult: 3\nprovenance: {}\n", [":2:1 result: is 3 but must be a mapping"]),
        (
            "config: {}\nresult: {epochs_run: 0, objective: {value: .nan}}\nprovenance: {}\n",
            [
                ":2:10 result.epochs_run: is 0 but must be",
                "result.objective.metric: is None but must be",
                "result.objective.value: is nan but must be",
                "result.objective.direction: is None but must be",
            ],
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_a_mistake(tmp_path: Path, text: str, lines: list[str]) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as raised:
        read_best(path)
    said = str(raised.value)
    assert all(line in said for line in lines)
    assert all(mistake.startswith(f"{path}:") and "\n" not in mistake for mistake in raised.value.mistakes)


def test_files_that_cannot_be_read_are_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_best(tmp_path / "absent.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        read_best(path)
