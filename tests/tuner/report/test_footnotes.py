from __future__ import annotations

from pathlib import Path

import pytest
from small_predictions import IMAGES, PredictedSearch, right_on

from tuner.evidence.gathering import gather
from tuner.report.footnotes import footnotes
from tuner.report.origin import origin_of


@pytest.fixture
def search(tmp_path: Path) -> PredictedSearch:
    return PredictedSearch(tmp_path, overrides=["backbone: resnet50 -> lite2"], plugins={"mine.py": "ab" * 32})


def notes(search: PredictedSearch) -> str:
    record = search.record
    return "\n".join(footnotes(record, gather(search.store, record), record.trials))


def test_ties_name_the_cheapest_with_its_cost(search: PredictedSearch) -> None:
    search.add("t0001", right_on(range(50)), total_parameters=9_000_000, images_per_second=20.0)
    search.add("t0002", right_on(range(49)), total_parameters=3_400_000, images_per_second=120.0)
    assert (
        "Tied for the first place (`1=`): t0001, t0002; the cheapest of them is t0002 (3.4 M parameters, 120 images/s)."
    ) in notes(search)


def test_a_lone_winner_is_called_one(search: PredictedSearch) -> None:
    search.add("t0001", right_on(range(55)))
    assert "stands alone" not in notes(search)  # with nothing to stand out from
    search.add("t0002", right_on(range(5)))
    assert "t0001 stands alone: it is significantly better than every other finished trial." in notes(search)


def test_intervals_say_what_was_drawn_and_whether_seeds_are_in(tmp_path: Path, search: PredictedSearch) -> None:
    search.add("t0001", right_on(range(50)))
    assert f"95 % bootstrap over {IMAGES} validation images;" in notes(search)
    assert "on the selection set, optimistic" in notes(search)
    assert "The luck of the seed is in neither" in notes(search)
    for number in (1, 2):
        rerun = {"of": "t0001", "kind": "repeat", "seed": number, "data_seed": 3}
        search.add(f"t0001-r{number}", right_on(range(50 + number)), rerun=rerun)
    assert "Ranks count the luck of the seed" in notes(search)
    grouped = PredictedSearch(tmp_path / "grouped", groups={image: f"g{image // 2}" for image in range(IMAGES)})
    grouped.add("t0001", right_on(range(50)))
    assert f"{IMAGES} validation images ({IMAGES // 2} groups, drawn whole)" in notes(grouped)


def test_a_best_that_its_repeats_do_not_bear_out_is_told(search: PredictedSearch) -> None:
    search.add("t0001", right_on(range(55)))
    search.add("t0002", right_on(range(50)))
    for number in (1, 2, 3):
        rerun = {"of": "t0001", "kind": "repeat", "seed": number, "data_seed": 3}
        search.add(f"t0001-r{number}", right_on(range(10)), rerun=rerun)
    assert "t0001 has the best value, but by the mean of its repeats it is of rank 2" in notes(search)
    assert "t0002 stands alone" in notes(search)
    assert "t0001 stands alone" not in notes(search)


def test_trials_ranked_by_value_alone_are_named(search: PredictedSearch) -> None:
    search.add("t0001", right_on(range(50)))
    search.log("t0002", 0.4)
    assert "Ranked by value alone" in notes(search)
    assert notes(search).rstrip(".").endswith("t0002")


def test_without_any_interval_the_reason_is_told(tmp_path: Path, search: PredictedSearch) -> None:
    assert "Ranked by value alone" not in notes(search)  # with nothing that is ranked
    search.log("t0001", 0.4)
    assert "Ranked by value alone: there are no validation predictions" in notes(search)
    few = PredictedSearch(tmp_path / "few", groups={image: f"g{image % 9}" for image in range(IMAGES)})
    few.add("t0001", right_on(range(50)))
    few.add("t0002", right_on(range(50)))
    few.add("t0003", right_on(range(40)))
    assert notes(few).endswith(
        f"Ranked by value alone: only {IMAGES} validation images (9 groups, drawn whole), too few for intervals; "
        "nothing is told apart."
    )
    assert gather(few.store, few.record).ranks == {"t0001": 1, "t0002": 1, "t0003": 3}
    plugin = PredictedSearch(tmp_path / "plugin", objective={"metric": "cost", "direction": "maximize"})
    plugin.add("t0001", right_on(range(50)))
    assert "Ranked by value alone: cost is a plugin's metric" in notes(plugin)


def test_what_was_replaced_in_the_space_is_told(search: PredictedSearch) -> None:
    origin = dict(origin_of(search.record))
    assert origin["overrides"] == "backbone: resnet50 -> lite2"
    assert origin["plugins"] == f"mine.py {'ab' * 6}"


def test_a_search_that_was_cut_short_says_what_is_missing(tmp_path: Path) -> None:
    search = PredictedSearch(tmp_path, data={"data_seed": 3, "sizes": {"train": 80, "val": IMAGES, "test": IMAGES}})
    search.add("t0001", right_on(range(50)))
    for number, status in enumerate(("complete", "paused", "paused"), start=1):
        rerun = {"of": "t0001", "kind": "repeat", "seed": number, "data_seed": 3}
        search.add(f"t0001-r{number}", right_on(range(50)), status=status, rerun=rerun)
    search.store.append("search_ended", status="stopped", reason="interrupted")
    assert notes(search).splitlines()[0] == (
        "The search stopped (interrupted): 1 of 3 reruns begun is done; references and test scores are missing."
    )
    assert "no config has two finished repeats on this split" in notes(search)
    assert dict(origin_of(search.record))["reruns"] == "1 of 3 begun"


def test_a_search_that_ran_to_its_end_was_not_cut_short(search: PredictedSearch) -> None:
    search.add("t0001", right_on(range(50)))
    search.store.append("search_ended", status="complete", reason="")
    assert "The search" not in notes(search)


def test_a_search_stopped_among_its_trials_counts_them(tmp_path: Path) -> None:
    search = PredictedSearch(tmp_path, trials=9)
    search.add("t0001", right_on(range(50)))
    search.store.append("search_ended", status="stopped", reason="2 hours are over")
    assert notes(search).startswith(
        "The search stopped (2 hours are over): 1 of 9 trials is done; references are missing."
    )
