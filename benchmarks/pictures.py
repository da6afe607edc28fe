"""JPEGs that cost what photographs cost to decode, and a backbone's weights to pass them through.

The three photographs that scikit-learn and matplotlib bring along are cropped, mirrored, tinted and shaded, each by
draws keyed by a seed and its number; the labels say which photograph it is and what was done. 500 x 375 pixels, quality
90, chroma at half resolution, 40-80 KB each: the size of most ImageNet images, and no dearer to decode.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

WIDTH, HEIGHT, QUALITY = 500, 375, 90
WARM, DARK = 0.5, 0.4
"""share of the pictures that are tinted, and shaded"""


@dataclass(frozen=True)
class PictureSet:
    """Folders of pictures by photograph, and beside them a table of several labels a picture."""

    folder: Path
    train: int
    val: int
    seed: int = 0

    @property
    def table(self) -> Path:
        """columns image, labels (separated by `;`), split"""
        return self.folder / "labels.csv"

    @property
    def made_from(self) -> str:
        return json.dumps({**asdict(self), "folder": "", "size": [WIDTH, HEIGHT, QUALITY, WARM, DARK]})


def make_pictures(wanted: PictureSet) -> None:
    """Write the set, unless it is there already."""
    done = wanted.folder / "made_from.json"  # written last
    if done.exists() and done.read_text() == wanted.made_from:
        return
    photographs = _photographs()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with wanted.table.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("image", "labels", "split"))
        for number in range(wanted.train + wanted.val):
            name = list(photographs)[number % len(photographs)]
            picture, labels = _picture(photographs[name], np.random.default_rng((wanted.seed, number)))
            path = Path(name) / f"{number:05}.jpg"
            (wanted.folder / name).mkdir(exist_ok=True)
            picture.save(wanted.folder / path, quality=QUALITY)
            split = "train" if number < wanted.train else "val"
            table.writerow((path.as_posix(), ";".join((name, *labels)), split))
    done.write_text(wanted.made_from)


def _photographs() -> dict[str, Image.Image]:
    import matplotlib
    import sklearn.datasets
    from PIL import Image

    of_sklearn = Path(sklearn.datasets.__file__).parent / "images"
    files = {
        "temple": of_sklearn / "china.jpg",
        "flower": of_sklearn / "flower.jpg",
        "portrait": Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
    }
    return {name: Image.open(path).convert("RGB") for name, path in files.items()}


def _picture(photograph: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, list[str]]:
    """A crop of three quarters to all that fits the shape, and the labels of what was done to it."""
    from PIL import Image, ImageOps

    fits = min(photograph.width / WIDTH, photograph.height / HEIGHT)
    scale = fits * rng.uniform(0.75, 1.0)
    width, height = scale * WIDTH, scale * HEIGHT
    left, upper = rng.uniform(0, photograph.width - width), rng.uniform(0, photograph.height - height)
    box = (left, upper, left + width, upper + height)
    picture = photograph.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=box)
    labels = []
    if rng.random() < 0.5:
        picture = ImageOps.mirror(picture)
        labels.append("mirrored")
    factors = np.ones(3)
    if rng.random() < WARM:
        factors *= (1.08, 1.0, 0.92)
        labels.append("warm")
    if rng.random() < DARK:
        factors *= 0.9
        labels.append("dark")
    pixels = np.asarray(picture, dtype=np.float64) * factors
    grain = rng.normal(0, 2.0, pixels.shape)  # as a camera has: upscaled crops would be too cheap to decode
    return Image.fromarray((pixels + grain).round().clip(0, 255).astype(np.uint8)), labels


def make_weights(backbone: str, pictures: PictureSet, folder: Path, image_size: int = 64) -> Path:
    """A checkpoint of a torchvision model, randomly initialised, whose BatchNorm has seen some of the pictures.

    With the statistics of a fresh model all deep features are nearly equal, so that no trial would differ.
    """
    path = folder / f"{backbone}.pth"
    if path.exists():
        return path
    import torch
    from torch import nn
    from torchvision.models import get_model

    torch.manual_seed(0)
    model = get_model(backbone, weights=None).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model(_batch(sorted(pictures.folder.glob("*/*.jpg"))[::8], image_size))
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path)
    return path


def _batch(paths: Sequence[Path], size: int):  # type: ignore[no-untyped-def]  # torch is not imported here
    import torch
    from PIL import Image
    from torchvision.transforms.functional import normalize, to_tensor

    def tensor(path: Path) -> torch.Tensor:
        with Image.open(path) as image:
            return to_tensor(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))

    pixels = torch.stack([tensor(path) for path in paths])
    return normalize(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
