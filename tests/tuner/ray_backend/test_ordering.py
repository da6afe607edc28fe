"""In which order trials are handed out, and that they stay the same trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trainable.config import TrialConfig, parse_config
from trainable.flops import Prefix, TrialFlops
from tuner.ray_backend import ordering
from tuner.ray_backend.ordering import CheapFirst
from tuner.ray_backend.proposals import PastProposal, Proposal
from tuner.ray_backend.sampler import PastTrial
from tuner.ray_backend.worker import Assignment

ASSIGNMENT = Assignment("/search", "/data", ["red"], "multilabel", 0, "f2_macro", {}, 1, 0)


def config(freeze: int | str, backbone: str = "resnet18", **fields: Any) -> TrialConfig:
    return parse_config({"backbone": backbone, "freeze": freeze, **fields})


@dataclass
class Given:
    """Proposals of these configs, one after another; remembers what it is told."""

    configs: list[TrialConfig]
    warm: int = 0
    """how many of them, from the second one on, did well in another search"""
    asked: int = 0
    told: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def exhausted(self) -> bool:
        return self.asked >= len(self.configs)

    def next(self) -> Proposal | None:
        if self.exhausted:
            return None
        facts: dict[str, Any] = {"number": self.asked, "baseline": self.asked == 0}
        facts |= {"warm_start": "other/t0001"} if 0 < self.asked <= self.warm else {}
        self.asked += 1
        return Proposal(f"t{self.asked:04d}", self.configs[self.asked - 1], ASSIGNMENT, facts)

    def replay(self, past: PastProposal) -> str:
        self.asked += 1
        self.told.append(("replay", past.told.trial, past.draw))
        return f"t{self.asked:04d}"

    def report(self, *told: Any) -> None:
        self.told.append(("report", *told))

    def tell(self, *told: Any) -> None:
        self.told.append(("tell", *told))

    def resume(self, trial: str) -> None:
        self.told.append(("resume", trial))


def costs(config: TrialConfig) -> TrialFlops:
    """100 for each block that is trained, and 25 for each that is frozen where its features are not there yet."""
    frozen = 5 if config.freeze == "all" else int(config.freeze)
    prefix = Prefix(config.backbone, None, config.image_size, frozen, config.augment)
    return TrialFlops(100.0 * (5 - frozen), {prefix: 25.0 * frozen} if frozen else {})


def handed_out(proposals: CheapFirst) -> list[Proposal]:
    return list(iter(proposals.next, None))


def draws(proposals: Iterable[Proposal]) -> list[int]:
    return [proposal.facts["draw"] for proposal in proposals]


def test_the_baseline_is_first_and_then_what_costs_least() -> None:
    proposals = CheapFirst(Given([config(0), config(1), config(4), config("all"), config(1)]), costs, None)
    found = handed_out(proposals)
    assert draws(found) == [0, 3, 2, 1, 4]
    assert [proposal.trial for proposal in found] == ["t0001", "t0002", "t0003", "t0004", "t0005"]
    assert [proposal.facts["number"] for proposal in found] == [0, 1, 2, 3, 4]
    assert [proposal.config.freeze for proposal in found] == [0, "all", 4, 1, 1]
    assert proposals.exhausted


def test_warm_trials_come_right_after_the_baseline() -> None:
    configs = [config("all"), config(0, "lite0"), config(1), config(4), config("all", "lite0")]
    assert draws(handed_out(CheapFirst(Given(configs, warm=2), costs, None))) == [0, 1, 2, 4, 3]


def test_what_is_not_known_to_be_the_end_is_not_it() -> None:
    proposals = CheapFirst(Given([config(0), config(1), config(2)]), costs, None)
    assert not proposals.exhausted
    proposals.next()
    proposals.next()
    assert not proposals.exhausted  # one waits, though none is left to ask for
    proposals.next()
    assert proposals.exhausted


def test_equal_trials_keep_their_order_and_nothing_is_counted() -> None:
    def never(config: TrialConfig) -> TrialFlops:
        raise AssertionError(config)

    configs = [config(2, optimizer={"kind": "adamw", "lr": lr}) for lr in (1e-3, 1e-4, 1e-5)]
    assert draws(handed_out(CheapFirst(Given(configs), never, None))) == [0, 1, 2]


def test_features_that_were_computed_are_free() -> None:
    """lite0 and resnet18 cost the same, but the baseline has made resnet18's features."""
    configs = [config("all"), config(4, "lite0"), config("all", "lite0"), config("all")]
    assert draws(handed_out(CheapFirst(Given(configs), costs, None))) == [0, 3, 2, 1]


def test_features_count_on_the_machine_that_is_free() -> None:
    configs = [config(0), config("all"), config("all", "lite0"), config("all"), config("all", "lite0")]
    proposals = CheapFirst(Given(configs), costs, None)
    baseline, first, second = (proposals.next() for _ in range(3))
    assert baseline
    assert first
    assert second
    assert draws([first, second]) == [1, 3]
    proposals.report(first.trial, 1, 0.5, "one")
    proposals.report(second.trial, 1, 0.5, "one")
    proposals.report(baseline.trial, 1, 0.5, "other")
    proposals.tell(baseline.trial, "complete", 0.5)
    assert draws(handed_out(proposals)) == [2, 4]  # nothing is there, so in the order asked


def test_results_go_to_what_was_asked() -> None:
    asked = Given([config(0), config(1), config("all")])
    proposals = CheapFirst(asked, costs, None)
    handed_out(proposals)
    proposals.report("t0002", 1, 0.5, "here")
    proposals.tell("t0002", "paused", 0.5)
    proposals.resume("t0002")
    assert asked.told == [("report", "t0003", 1, 0.5, "here"), ("tell", "t0003", "paused", 0.5), ("resume", "t0003")]


def past(draws: list[int], configs: list[TrialConfig]) -> list[PastProposal]:
    """Trials that were handed out in this order."""
    numbered = enumerate(draws, start=1)
    return [PastProposal(PastTrial(f"t{number:04d}", {}), configs[draw], draw) for number, draw in numbered]


def test_what_was_asked_for_and_not_handed_out_is_asked_for_again() -> None:
    configs = [config(0), config(1), config(4), config("all"), config(2)]
    whole = draws(handed_out(CheapFirst(Given(configs), costs, None)))
    for count in range(len(whole)):
        again = Given(configs)
        proposals = CheapFirst(again, costs, None)
        proposals.replay(past(whole[:count], configs))
        assert draws(handed_out(proposals)) == whole[count:]
        assert sorted(told[2] for told in again.told) == sorted(whole[:count])


def test_a_space_that_has_become_smaller_hands_out_no_more() -> None:
    configs = [config(0), config(1), config(4), config("all"), config(2)]
    smaller = CheapFirst(Given(configs[:1]), costs, None)
    smaller.replay(past([0, 3, 2], configs))
    assert handed_out(smaller) == []


def test_what_depends_on_results_is_not_asked_for_ahead() -> None:
    asked = Given([config(0), config(1), config("all"), config(1), config("all")])
    proposals = CheapFirst(asked, costs, independent=3)
    seen = []
    while (proposal := proposals.next()) is not None:
        seen.append((proposal.facts["draw"], asked.asked))
    assert seen == [(0, 1), (2, 3), (1, 3), (3, 4), (4, 5)]


@given(
    st.lists(st.builds(config, st.integers(0, 5), st.sampled_from(["resnet18", "resnet50"])), min_size=1),
    st.sampled_from([None, 1, 3, 10]),
    st.integers(1, 8),
)
def test_the_trials_are_the_same_and_none_waits_longer_than_the_look_ahead(
    configs: list[TrialConfig], independent: int | None, look_ahead: int
) -> None:
    before, ordering.LOOK_AHEAD = ordering.LOOK_AHEAD, look_ahead
    try:
        found = draws(handed_out(CheapFirst(Given(configs), costs, independent)))
        again = draws(handed_out(CheapFirst(Given(configs), costs, independent)))
    finally:
        ordering.LOOK_AHEAD = before
    assert found == again
    assert sorted(found) == list(range(len(configs)))
    assert found[0] == 0
    assert all(abs(place - draw) < look_ahead for place, draw in enumerate(found))
