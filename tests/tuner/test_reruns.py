"""What is trained again after the trials: planned from the record, then run by a search in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_searches import search_without_ray, tiny_space, write_space

from trainable.data.splits import SplitRow, read_splits
from trainable.errors import UserError
from tuner.config import SearchConfig, parse_options
from tuner.records import SearchRecord, TrialRecord
from tuner.replay import replay
from tuner.run import run_search
from tuner.store import Store

pytestmark = pytest.mark.real  # they train some twenty trials
Searched = tuple[Store, SearchRecord]


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory, labels_csv: Path) -> Callable[..., Searched]:
    """search(repeats=2): a finished search of three trials with these reruns of the best two and the baseline."""

    def run(**reruns: Any) -> Searched:
        folder = tmp_path_factory.mktemp("reruns")
        config = parse_options(
            SearchConfig,
            name="new",
            space=str(write_space(folder / "tiny.yaml", tiny_space())),
            data={"path": labels_csv},
            trials=3,
            top_k=2,
            results=folder / "results",
            reruns=reruns,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("THAW_CACHE", str(folder / "cache"))
            search_without_ray(patch)
            store = run_search(config)
        return store, replay(store.events())

    return run


@pytest.fixture(scope="module")
def rerun(search: Callable[..., Searched]) -> Searched:
    """With every kind of rerun; not to be changed."""
    return search(repeats=2, folds=3, train_fractions=(0.25, 0.5, 1))


def images(rows: tuple[SplitRow, ...], split: str) -> set[str]:
    return {row.image for row in rows if row.split == split}


def rerun_configs(record: SearchRecord) -> set[str]:
    """The best two and the baseline."""
    best = [trial.id for trial in record.ranked() if trial.eligible][:2]
    return {*best, "t0001"}


def same_but_seed(again: TrialRecord, record: SearchRecord) -> bool:
    first = next(trial for trial in record.trials if again.rerun and trial.id == again.rerun.of)
    return {**again.config, "seed": 0} == {**first.config, "seed": 0}


def test_repeats_change_the_seed_alone(rerun: Searched) -> None:
    store, record = rerun
    assert len(record.trials) == 3
    repeated = [again.rerun.of for again in record.reruns if again.rerun and again.rerun.kind == "repeat"]
    assert set(repeated) == rerun_configs(record)
    for trial in rerun_configs(record):
        repeats = record.reruns_of(trial, "repeat")
        assert [again.id for again in repeats] == [f"{trial}-r1", f"{trial}-r2"]
        assert [again.config["seed"] for again in repeats] == [1, 2]
        assert all(same_but_seed(again, record) for again in repeats)
        assert all(store.predictions(again.id).exists() for again in repeats)
    assert record.status == "complete"


def test_reruns_are_no_trials_of_the_search(rerun: Searched) -> None:
    store, record = rerun
    assert record.ranks().keys() <= {"t0001", "t0002", "t0003"}
    assert len(list(store.top.iterdir())) == 2
    assert "-r1" not in store.best_yaml.read_text()


def test_a_new_split_keeps_test_out(search: Callable[..., Searched]) -> None:
    store, record = search(repeats=2, resplit=True)
    own = read_splits(store.splits)
    vals = []
    for again in record.reruns:
        assert again.rerun is not None
        rows = read_splits(store.folder / f"splits/seed-{again.rerun.data_seed}.csv")
        assert images(rows, "test") == images(own, "test")
        vals.append(frozenset(images(rows, "val")))
    assert len(set(vals)) == 2  # a split a seed, the same for every config


def test_folds_validate_each_image_once(rerun: Searched) -> None:
    store, record = rerun
    own = read_splits(store.splits)
    folds = record.reruns_of("t0001", "fold")
    assert [again.rerun.fold for again in folds if again.rerun] == [0, 1, 2]
    validated = [
        image
        for number in (1, 2, 3)
        for image in images(read_splits(store.folder / f"splits/fold-{number}-of-3.csv"), "val")
    ]
    assert sorted(validated) == sorted(images(own, "train") | images(own, "val"))


def test_the_best_is_trained_on_shares_of_the_images(rerun: Searched) -> None:
    store, record = rerun
    assert record.best is not None
    shares = record.reruns_of(record.best.id, "fraction")
    assert [again.rerun.train_share for again in shares if again.rerun] == [0.25, 0.5]
    assert {again.rerun.of for again in record.reruns if again.rerun and again.rerun.kind == "fraction"} == {
        record.best.id
    }
    trained = [images(read_splits(store.folder / f"splits/train-{p}-percent.csv"), "train") for p in (25, 50)]
    assert trained[0] < trained[1] < images(read_splits(store.splits), "train")


@pytest.mark.parametrize(
    ("reruns", "mistake"),
    [
        ({"resplit": True}, r"--resplit True: is about repeats: give --repeats as well"),
        ({"folds": 1}, r"--folds 1: should be greater than or equal to 2"),
        ({"train_fractions": (0.5, 1.5)}, r"--train-fractions 1.5: should be less than or equal to 1"),
    ],
)
def test_options_that_make_no_sense(reruns: dict[str, Any], mistake: str, labels_csv: Path) -> None:
    with pytest.raises(UserError, match=mistake):
        parse_options(SearchConfig, name="new", space="quick", data={"path": labels_csv}, reruns=reruns)


def test_more_folds_than_the_images_allow_are_refused_before_anything_trains(
    search: Callable[..., Searched], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(UserError, match="groups of images cannot fill 50 splits"):
        search(folds=50)
    made = sorted(tmp_path_factory.getbasetemp().glob("reruns*"))[-1]
    assert not (made / "results").exists()
