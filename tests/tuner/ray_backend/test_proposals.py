"""What is proposed where some configs break a limit and others come from an earlier search."""

from __future__ import annotations

from typing import Any

import pytest
from small_searches import MakeSpace, tiny_space

from search_spaces.axes import Value
from search_spaces.space import Space, load_space
from trainable.config import TrialConfig
from tuner.ray_backend.proposals import DRAWS, Proposal, SampledTrials
from tuner.ray_backend.sampler import PastTrial, make_sampler
from tuner.ray_backend.worker import Assignment
from tuner.warm_start import WarmTrial

ASSIGNMENT = Assignment("/results", "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 1)
WARM = WarmTrial({"optimizer.lr": 3e-3, "freeze": 0, "head.kind": "mlp"}, "birds/t0007")


@pytest.fixture
def space(make_space: MakeSpace) -> Space:
    return load_space(make_space())


def no_mlp(config: TrialConfig) -> str | None:
    return "too much" if config.head.kind == "mlp" else None


def proposals_of(space: Space, sampler: Any = None, trials: int = 12, **more: Any) -> SampledTrials:
    sampler = sampler or make_sampler(space, space.sampler, "maximize", seed=0)
    return SampledTrials(space, sampler, ASSIGNMENT, trials, **more)


def all_of(proposals: SampledTrials) -> list[Proposal]:
    found = []
    while (proposal := proposals.next()) is not None:
        found.append(proposal)
        proposals.report(proposal.trial, 1, 0.5, "node")
        proposals.tell(proposal.trial, "complete", 0.5)
    return found


def params_of(proposals: list[Proposal]) -> list[dict[str, Value]]:
    return [proposal.facts["params"] for proposal in proposals]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_breaks_a_limit_is_never_a_trial(make_space: MakeSpace, sampler: str) -> None:
    found = all_of(proposals_of(load_space(make_space(sampler=sampler)), trials=20, breach=no_mlp))
    assert [proposal.trial for proposal in found] == [f"t{number:04d}" for number in range(1, 21)]
    assert all(proposal.config.head.kind == "linear" for proposal in found)
    skipped = [params for proposal in found for params in proposal.facts.get("skipped", ())]
    assert skipped
    assert all(params["head.kind"] == "mlp" for params in skipped)
    assert len(skipped) < 40  # half of the random draws, and TPE learns to avoid them


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_replay_with_the_skipped_draws_draws_the_same(make_space: MakeSpace, sampler: str) -> None:
    space = load_space(make_space(sampler=sampler))
    unbroken = all_of(proposals_of(space, trials=16, breach=no_mlp))
    again = make_sampler(space, space.sampler, "maximize", seed=0)
    for before in unbroken[:8]:
        skipped = [PastTrial(before.trial, params, (), "pruned") for params in before.facts.get("skipped", ())]
        ended = PastTrial(before.trial, before.facts["params"], [(1, 0.5)], "complete", 0.5)
        assert again.replay([*skipped, ended]) == []
    resumed = proposals_of(space, again, trials=16, breach=no_mlp)
    resumed._asked = 8
    assert params_of(all_of(resumed)) == params_of(unbroken[8:])


def test_a_grid_leaves_out_what_breaks_a_limit(make_space: MakeSpace) -> None:
    axes = {"freeze": {"choice": [0, 2, "all"]}, "head.kind": {"choice": ["linear", "mlp"]}}
    space = load_space(make_space(sampler="grid", axes=axes))
    found = all_of(proposals_of(space, trials=space.trials(), breach=no_mlp))
    assert [proposal.config.freeze for proposal in found] == [2, 0, "all"]


def test_a_search_ends_where_nothing_keeps_the_limits(space: Space) -> None:
    class Asked:
        draws = 0

        def ask(self, trial: str) -> dict[str, Value]:
            self.draws += trial != "t0001"
            return {"optimizer.lr": 1e-3, "freeze": 0, "head.kind": "mlp"}

        def report(self, trial: str, step: int, value: float | None) -> None:
            pass

        def tell(self, trial: str, status: str, value: float | None) -> None:
            pass

    sampler = Asked()
    proposals = proposals_of(space, sampler, breach=no_mlp)
    assert [proposal.trial for proposal in all_of(proposals)] == ["t0001"]
    assert sampler.draws == DRAWS
    assert proposals.exhausted


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_warm_trials_come_right_after_the_baseline(make_space: MakeSpace, sampler: str) -> None:
    space = load_space(make_space(sampler=sampler))
    found = all_of(proposals_of(space, trials=4, warm=[WARM]))
    assert [proposal.facts.get("warm_start") for proposal in found] == [None, "birds/t0007", None, None]
    assert found[0].facts["baseline"]
    assert params_of(found)[1] == WARM.params
    assert found[1].config.optimizer.lr == 3e-3
    assert found[1].config.epochs == tiny_space()["fixed"]["epochs"]


def test_a_sampler_learns_from_warm_trials(make_space: MakeSpace) -> None:
    space = load_space(make_space(sampler="tpe"))

    def later(value: float) -> list[dict[str, Value]]:
        proposals = proposals_of(space, trials=14, warm=[WARM])
        found = []
        while (proposal := proposals.next()) is not None:
            found.append(proposal)
            warm = "warm_start" in proposal.facts
            proposals.tell(proposal.trial, "complete", value if warm else 0.5)
        return params_of(found)[11:]

    assert later(0.9) != later(0.1)
