"""A search on a machine with too little memory: what its tables say, and that its best comes to the same elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_searches import MakeSpace

from trainable.learner import Learner
from tuner.result import search
from tuner.saved_trial import read_saved, train_again


@pytest.mark.usefixtures("_without_ray")
def test_batches_that_do_not_fit_are_cut_and_the_config_that_ran_is_the_one_that_is_kept(
    make_space: MakeSpace, labels_csv: Path, tmp_path: Path
) -> None:
    space = make_space(axes={"freeze": {"choice": [2, "all"]}}, sampler="grid", baseline={"freeze": "all"})
    backward = Learner._backward

    def limited(self: Learner, features: torch.Tensor, targets: torch.Tensor, batch_images: int) -> torch.Tensor:
        if len(targets) > (12 if self.classifier.wholly_frozen else 4):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return backward(self, features, targets, batch_images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "_backward", limited)
        found = search(space, labels_csv, "tight", results=tmp_path / "results")
    frozen, cut = found.record.trials
    assert (frozen.short_of_memory, cut.short_of_memory) == (False, True)
    assert (frozen.status, cut.status, cut.epochs_run) == ("complete", "complete", 2)
    assert cut.config["micro_batch"] == 3
    assert f"{cut.id}: 3 of 12 images at a time" in found.store.leaderboard_md.read_text()
    files = {read_saved(file, None).config.micro_batch: file for file in found.store.top.iterdir()}
    assert files.keys() == {None, 3}
    assert train_again(read_saved(files[3], None), tmp_path / "again", None, lambda _: None).difference == 0
