from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_predictions import IMAGES, PredictedSearch, right_on

from tuner.evidence import bootstrap as bootstrap_module
from tuner.evidence.bootstrap import FEWEST_GROUPS, RESAMPLES, Bootstrap, Resampled, draw_weights


def test_groups_are_drawn_whole_and_as_many_as_there_are() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2, 3])
    weights = draw_weights(groups, 200)
    assert weights.shape == (7, 200)
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[3], weights[5])
    assert (weights[[0, 2, 3, 6]].sum(axis=0) == 4).all()
    np.testing.assert_array_equal(weights, draw_weights(groups, 200))


def test_the_interval_of_an_accuracy_is_that_of_a_share(search: PredictedSearch) -> None:
    search.score("t0001", right_on(range(45)))
    found = Bootstrap(search.store).resampled("t0001", "val", "accuracy")
    assert found
    assert found.interval
    assert found.value == 0.75
    error = (0.75 * 0.25 / IMAGES) ** 0.5
    assert found.draws.std() == pytest.approx(error, rel=0.1)
    assert found.interval == pytest.approx((0.75 - 1.96 * error, 0.75 + 1.96 * error), abs=0.02)


def test_images_of_one_group_are_no_independent_evidence(tmp_path: Path, search: PredictedSearch) -> None:
    threes = PredictedSearch(tmp_path / "threes", groups={image: f"g{image // 3}" for image in range(IMAGES)})
    widths = []
    for each in (search, threes):
        each.score("t0001", right_on(range(30)))
        found = Bootstrap(each.store).resampled("t0001", "val", "accuracy")
        assert found
        widths.append(found.draws.std())
    assert widths[1] == pytest.approx(3**0.5 * widths[0], rel=0.1)


def test_a_group_called_like_an_image_stays_its_own(tmp_path: Path) -> None:
    search = PredictedSearch(tmp_path, groups={0: "val1"})
    assert Bootstrap(search.store).split("val").group_count == IMAGES


def test_the_same_resamples_serve_every_row_so_that_what_they_share_cancels(search: PredictedSearch) -> None:
    search.score("t0001", right_on(range(30)))
    search.score("t0002", right_on(range(31)))
    rows = [Bootstrap(search.store).resampled(name, "val", "accuracy") for name in ("t0001", "t0002")]
    assert rows[0] and rows[1]  # noqa: PT018
    difference = rows[1].minus(rows[0])
    assert difference.value == pytest.approx(1 / IMAGES)
    assert difference.draws.min() == 0
    assert difference.draws.std() < rows[0].draws.std() / 3


def test_a_file_is_resampled_once_until_it_changes(search: PredictedSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = bootstrap_module.read_predictions
    monkeypatch.setattr(bootstrap_module, "read_predictions", lambda path: (read.append(path), original(path))[1])
    found = Bootstrap(search.store)
    search.score("t0001", right_on(range(30)))
    first = found.resampled("t0001", "val", "accuracy")
    assert found.resampled("t0001", "val", "accuracy") is first
    assert len(read) == 1
    search.store.predictions("t0001").unlink()
    search.score("t0001", right_on(range(50)))
    again = found.resampled("t0001", "val", "accuracy")
    assert again
    assert again.value == pytest.approx(50 / IMAGES)


def test_without_predictions_of_the_split_or_a_known_metric_there_is_nothing(search: PredictedSearch) -> None:
    found = Bootstrap(search.store)
    assert found.resampled("t0001", "val", "accuracy") is None
    search.score("t0001", right_on(range(30)), split="test")
    assert found.resampled("t0001", "test", "accuracy")
    search.store.test_predictions("t0001").rename(search.store.predictions("t0001"))
    assert found.resampled("t0001", "val", "accuracy") is None  # other images than val's
    search.score("t0002", right_on(range(30)))
    assert found.resampled("t0002", "val", "made_by_a_plugin") is None


def test_few_groups_tell_nothing(tmp_path: Path) -> None:
    few = PredictedSearch(tmp_path, groups={image: str(image % (FEWEST_GROUPS - 1)) for image in range(IMAGES)})
    few.score("t0001", right_on(range(30)))
    assert Bootstrap(few.store).resampled("t0001", "val", "accuracy") is None


def test_a_metric_that_is_mostly_undefined_has_no_interval() -> None:
    draws = np.full(RESAMPLES, np.nan)
    draws[:400] = 0.5
    assert Resampled(0.5, draws).interval is None
    draws[:600] = np.linspace(0.0, 1.0, 600)
    assert Resampled(0.5, draws).interval == pytest.approx((0.025, 0.975))


def test_draws_that_all_agree_have_no_interval(search: PredictedSearch) -> None:
    search.score("t0001", right_on(range(IMAGES)))
    found = Bootstrap(search.store).resampled("t0001", "val", "accuracy")
    assert found
    assert (found.value, found.interval) == (1.0, None)
