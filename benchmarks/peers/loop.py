"""Transfer learning as people write it: a Dataset, a DataLoader, a torchvision model, a loop.

What decides the numbers (initial weights, order of batches, views, optimiser) is as in Thaw, so that results can be
compared; how it is computed is as in the tutorials.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.functional.classification import multilabel_fbeta_score
from torchvision import transforms
from torchvision.models import get_model

from trainable.augment import AUGMENTS
from trainable.data.batches import epoch_batches
from trainable.data.views import keyed_uniform

BATCH = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CUBIC = transforms.InterpolationMode.BICUBIC


class Pictures(Dataset[tuple[torch.Tensor, torch.Tensor, int]]):
    """The pictures of a split: tensor, targets and number; numbers are places in the sorted table."""

    def __init__(self, table: Path, split: str, transform: Any) -> None:
        with table.open() as file:
            rows = sorted(csv.DictReader(file), key=lambda row: row["image"])
        self.labels = sorted({label for row in rows for label in row["labels"].split(";")})
        self.rows = rows
        self.folder = table.parent
        self.numbers = [number for number, row in enumerate(rows) if row["split"] == split]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        number = self.numbers[place]
        row = self.rows[number]
        with Image.open(self.folder / row["image"]) as image:
            picture = self.transform(image.convert("RGB"))
        present = row["labels"].split(";")
        return picture, torch.tensor([float(label in present) for label in self.labels]), number

    def targets(self) -> torch.Tensor:
        found = [[float(label in self.rows[n]["labels"].split(";")) for label in self.labels] for n in self.numbers]
        return torch.tensor(found)


class KeyedBatches:
    """Batches of places in the training set, in the same order as Thaw's."""

    def __init__(self, pictures: Pictures, seed: int) -> None:
        self.place = {number: place for place, number in enumerate(pictures.numbers)}
        self.seed = seed
        self.epoch = 0

    def __iter__(self) -> Iterator[list[int]]:
        self.epoch += 1
        for batch in epoch_batches(np.array(sorted(self.place)), BATCH, self.seed, self.epoch):
            yield [self.place[number] for number in batch.tolist()]


def train(
    params: Mapping[str, Any],
    *,
    table: Path,
    weights: Path,
    image_size: int,
    epochs: int,
    augment: str,
    loaders: int = 0,
    seed: int = 0,
) -> Iterator[dict[str, float]]:
    """Train one trial; validation loss and F2 (macro) after each epoch. `freeze` counts blocks, 5 is all."""
    steps = [transforms.Resize((image_size, image_size), CUBIC)]
    if augment == "none":
        to_input = [*steps, transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        train_set = Pictures(table, "train", transforms.Compose(to_input))
    else:  # views are drawn of whole batches, on 8-bit pixels
        train_set = Pictures(table, "train", transforms.Compose([*steps, transforms.PILToTensor()]))
    plain = [*steps, transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    val_set = Pictures(table, "val", transforms.Compose(plain))
    own_draws = torch.Generator().manual_seed(seed)  # a loader draws a number, and dropout must not notice
    loading: dict[str, Any] = {"num_workers": loaders, "generator": own_draws}
    train_loader = DataLoader(train_set, batch_sampler=KeyedBatches(train_set, seed), **loading)
    val_loader = DataLoader(val_set, batch_size=4 * BATCH, **loading)

    prefix, suffix = build(params, weights, len(train_set.labels), seed)
    pos_weight = positive_weights(train_set.targets()) if params["loss.pos_weight"] == "balanced" else None
    optimizer = torch.optim.AdamW(suffix.parameters(), lr=params["optimizer.lr"], weight_decay=0.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

    for epoch in range(1, epochs + 1):
        suffix.train()
        torch.manual_seed(seed * 1_000_003 + epoch)
        for images, targets, numbers in train_loader:
            if augment != "none":
                images = view(images, numbers, augment, epoch)
            with torch.no_grad():
                features = prefix(images)
            loss = nn.functional.binary_cross_entropy_with_logits(suffix(features), targets, pos_weight=pos_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if params["schedule.kind"] == "cosine":
            cosine.step()
        yield evaluate(prefix, suffix, val_loader)


def positive_weights(targets: torch.Tensor) -> torch.Tensor:
    """Negatives / positives of each label, at most 20."""
    positives = targets.sum(0)
    return ((len(targets) - positives) / positives).clamp(max=20.0)


def build(params: Mapping[str, Any], weights: Path, labels: int, seed: int) -> tuple[nn.Module, nn.Module]:
    """The frozen part, in eval mode, and the trained part of a pretrained ResNet with a new head."""
    model = get_model("resnet18", weights=None)
    model.load_state_dict(torch.load(weights, weights_only=True))
    stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)
    blocks = [stem, model.layer1, model.layer2, model.layer3, model.layer4]
    pool = nn.Sequential(model.avgpool, nn.Flatten(1))
    head = new_head(params["head.kind"], model.fc.in_features, labels, seed)
    frozen = params["freeze"]
    all_frozen = frozen == len(blocks)
    prefix = nn.Sequential(*blocks[:frozen], *([pool] if all_frozen else [])).eval().requires_grad_(False)
    suffix = nn.Sequential(*blocks[frozen:], *([] if all_frozen else [pool]), head)
    return prefix, suffix


def new_head(kind: str, features: int, labels: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    if kind == "linear":
        return nn.Linear(features, labels)
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, labels))


def view(images: torch.Tensor, numbers: torch.Tensor, augment: str, epoch: int) -> torch.Tensor:
    """The pictures' augmented views of an epoch, normalised; the operations and their draws are Thaw's."""
    policy = AUGMENTS[augment]
    draws = torch.from_numpy(keyed_uniform(0, epoch, numbers.numpy(), policy.draws))
    views = policy.apply(images.permute(0, 2, 3, 1).contiguous(), draws).permute(0, 3, 1, 2).float() / 255
    return transforms.functional.normalize(views, MEAN, STD)


@torch.no_grad()
def evaluate(prefix: nn.Module, suffix: nn.Module, loader: DataLoader[Any]) -> dict[str, float]:
    suffix.eval()
    found = [(suffix(prefix(images)), targets) for images, targets, _ in loader]
    return scores(*(torch.cat(part) for part in zip(*found, strict=True)))


def scores(logits: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """Validation loss and F2, as a script would report them."""
    loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
    f2 = multilabel_fbeta_score(logits.sigmoid(), targets.int(), 2.0, targets.shape[1], average="macro")
    return {"loss": float(loss), "f2_macro": float(f2)}
