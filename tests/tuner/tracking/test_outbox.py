"""A log as the outbox of trackers."""

from __future__ import annotations

from told_search import ToldSearch

from tuner.tracking.outbox import Batch, Outbox


def take(outbox: Outbox, at_most: int = 500) -> Batch:
    batch = outbox.take(at_most)
    assert batch is not None
    return batch


def test_what_is_new_is_handed_out_until_it_is_shown(told: ToldSearch) -> None:
    told.begin()
    told.trial("t0001", 0, 0.5, 0.6)
    outbox = Outbox(told.store.events_jsonl, 0)
    first = take(outbox)
    assert take(outbox) is first
    assert first.news.search
    assert [(trial.id, [epoch.value for epoch in epochs]) for trial, epochs in first.news.of(first.search)] == [
        ("t0001", [0.5, 0.6])
    ]
    outbox.shown()
    assert outbox.take() is None
    told.trial("t0002", 1, 0.7)
    second = take(outbox)
    assert not second.news.search
    assert second.news.trials.keys() == {"t0002"}
    assert second.seq == 8


def test_a_long_outage_is_caught_up_in_parts(told: ToldSearch) -> None:
    told.begin()
    told.trial("t0001", 0, 0.5, 0.6, 0.7)
    outbox = Outbox(told.store.events_jsonl, 0)
    told_epochs = []
    while batch := outbox.take(2):
        told_epochs += [epoch.epoch for _, epochs in batch.news.of(batch.search) for epoch in epochs]
        outbox.shown()
    assert told_epochs == [1, 2, 3]
    assert outbox.search.trials[0].status == "complete"


def test_another_process_goes_on_where_one_has_stopped_and_is_told_of_all_trials_first(told: ToldSearch) -> None:
    told.begin()
    told.trial("t0001", 0, 0.5)
    told.trial("t0002", 1, 0.6)
    shown_up_to = 4
    batch = take(Outbox(told.store.events_jsonl, shown_up_to))
    assert not batch.news.search
    assert {trial: len(epochs) for trial, epochs in batch.news.trials.items()} == {"t0001": 0, "t0002": 1}


def test_an_epoch_that_is_done_again_is_told_as_it_is_now(told: ToldSearch) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    told.epoch("t0001", 1, 0.5)
    told.epoch("t0001", 2, 0.6)
    told.store.append("trial_resumed", "t0001", reason="its process died")
    told.epoch("t0001", 2, 0.7)
    batch = take(Outbox(told.store.events_jsonl, 0))
    assert [epoch.value for epoch in batch.news.trials["t0001"]] == [0.5, 0.7]


def test_a_line_that_is_just_being_written_waits(told: ToldSearch) -> None:
    told.begin()
    log = told.store.events_jsonl
    whole = log.read_bytes()
    outbox = Outbox(log, 0)
    log.write_bytes(whole[:-5])
    assert outbox.take() is None
    log.write_bytes(whole)
    assert take(outbox).seq == 1


def test_a_log_that_was_cut_back_is_read_anew(told: ToldSearch) -> None:
    told.begin()
    told.begin_trial("t0001", 0)
    log = told.store.events_jsonl
    lines = log.read_bytes().splitlines(keepends=True)
    outbox = Outbox(log, 0)
    take(outbox)
    outbox.shown()
    log.write_bytes(lines[0])  # a full disk took the last event back
    assert [trial.id for trial in take(outbox).search.trials] == []
