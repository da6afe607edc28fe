"""The least that a frozen-head search can cost: every picture decoded once, passed through the backbone once (once an
epoch with augmentation), and the heads trained on what came of it. One process, two threads, nothing recorded.

    python -m benchmarks.peers.limit JOB.json OUTCOMES.json
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision import transforms

from benchmarks.peers.loop import BATCH, CUBIC, MEAN, STD, Pictures, build, new_head, positive_weights, scores, view
from trainable.data.batches import epoch_batches

THREADS = 2


class Shared:
    """Features of both splits, decoded and computed once."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        size = job["image_size"]
        decoded = transforms.Compose([transforms.Resize((size, size), CUBIC), transforms.PILToTensor()])
        self.augment = job["augment"]
        self.sets = {split: Pictures(Path(job["table"]), split, decoded) for split in ("train", "val")}
        self.pool = ThreadPoolExecutor(THREADS)
        pixels = {
            split: torch.stack([picture for picture, _, _ in self.pool.map(of.__getitem__, range(len(of)))])
            for split, of in self.sets.items()
        }
        self.prefix, _ = build(job["trials"][0], Path(job["weights"]), 1, 0)
        self.prefix.to(memory_format=torch.channels_last)
        self.train_pixels = pixels["train"]
        self.val = self.features(pixels["val"])
        self.targets = {split: of.targets() for split, of in self.sets.items()}
        self.trained: dict[int, torch.Tensor] = {}

    def features(self, pixels: torch.Tensor, epoch: int | None = None) -> torch.Tensor:
        numbers = torch.tensor(self.sets["train"].numbers)

        @torch.no_grad()
        def of_batch(first: int) -> torch.Tensor:
            batch = pixels[first : first + BATCH]
            if epoch is None:
                images = transforms.functional.normalize(batch.float() / 255, MEAN, STD)
            else:
                images = view(batch, numbers[first : first + BATCH], self.augment, epoch)
            return self.prefix(images.contiguous(memory_format=torch.channels_last))

        return torch.cat(list(self.pool.map(of_batch, range(0, len(pixels), BATCH))))

    def train(self, epoch: int) -> torch.Tensor:
        """Of the training pictures in an epoch."""
        key = 0 if self.augment == "none" else epoch
        if key not in self.trained:
            self.trained[key] = self.features(self.train_pixels, key or None)
        return self.trained[key]


def train_head(params: Mapping[str, Any], shared: Shared, epochs: int, seed: int = 0) -> Iterator[dict[str, float]]:
    targets, numbers = shared.targets["train"], shared.sets["train"].numbers
    place = {number: place for place, number in enumerate(numbers)}
    head = new_head(params["head.kind"], shared.val.shape[1], targets.shape[1], seed)
    pos_weight = positive_weights(targets) if params["loss.pos_weight"] == "balanced" else None
    optimizer = torch.optim.AdamW(head.parameters(), lr=params["optimizer.lr"], weight_decay=0.0, fused=True)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(1, epochs + 1):
        head.train()
        features = shared.train(epoch)
        torch.manual_seed(seed * 1_000_003 + epoch)
        for batch in epoch_batches(np.array(sorted(numbers)), BATCH, seed, epoch):
            chosen = [place[number] for number in batch.tolist()]
            logits = head(features[chosen])
            loss = nn.functional.binary_cross_entropy_with_logits(logits, targets[chosen], pos_weight=pos_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if params["schedule.kind"] == "cosine":
            cosine.step()
        head.eval()
        with torch.no_grad():
            yield scores(head(shared.val), shared.targets["val"])


def main(job_file: Path, out: Path) -> None:
    job = json.loads(job_file.read_text())
    torch.set_num_threads(1)  # two batches at once: two threads in one batch wait for each other too often
    shared = Shared(job)
    if job["augment"] == "none":
        shared.train(1)
    outcomes = []
    for params in job["trials"]:
        began = time.process_time()
        epochs = list(train_head(params, shared, job["epochs"]))
        outcomes.append({"params": params, "epochs": epochs, "cpu_seconds": time.process_time() - began})
    out.write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
