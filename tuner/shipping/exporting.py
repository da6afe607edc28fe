"""`tuner export`: a search's model as files that need no search, checked, with its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainable.data.splits import read_splits
from tuner.evidence.gathering import gather
from tuner.provenance import versions
from tuner.shipping.card import Checked, model_card
from tuner.shipping.chosen import ChosenModel
from tuner.shipping.new_folder import new_folder
from tuner.shipping.stored_data import open_stored
from tuner.store import Store

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset
    from trainable.labelling import Pixels

CARD = "MODEL_CARD.md"
CHECKED_IMAGES = 100
"""An export is checked on so many of the search's images, or all of them: those of validation first."""
EXPORTERS = ("torch", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Export:
    """What an export left."""

    folder: Path
    checked: Checked


def export_model(store: Store, model: ChosenModel, out: Path | None = None) -> Export:
    """Write model.onnx, model.pt2 and MODEL_CARD.md into a new folder (None: export/<model>/ of the search's).

    Raises:
        UserError: the folder exists, libraries, checkpoint, weights or images are missing.
        DisagreementError: a file does not say what the model says; nothing is left of the export.
    """
    import torch

    from trainable.export import FILES, check_model, require_libraries, write_model
    from trainable.predict import load_model

    require_libraries()
    place = out or store.fetch(store.folder / "export" / model.name)
    remedy = "give another folder with --out" if out else "it is this model's export; another copy goes to --out DIR"
    with new_folder(place, remedy) as folder:
        trained = load_model(model.checkpoint, torch.device("cpu"))
        write_model(trained, folder, _origin(model))
        pixels = _pixels(open_stored(store, model.search, trained.config.image_size))
        differences = {name: check_model(trained, folder / name, pixels) for name in FILES}
        checked = Checked(differences, len(pixels), versions(EXPORTERS))
        interval = gather(store, model.search).intervals.get(model.trial.id)
        card = model_card(model, trained.thresholds, read_splits(store.splits), interval, checked)
        (folder / CARD).write_text(card, encoding="utf-8")
    if out is None:
        store.home.push(place)
    return Export(place, checked)


def _origin(model: ChosenModel) -> dict[str, object]:
    """What a file's metadata tell beyond the model itself."""
    return {
        "search": model.search.name,
        "trial": model.trial.id,
        "trained_on": model.splits,
        "data_hash": str(model.search.data.get("hash", "")),
        "versions": dict(model.search.versions),
        "exported_with": versions(EXPORTERS),
    }


def _pixels(data: ImageDataset) -> Pixels:
    """Real images to check with; never those of test."""
    chosen = np.concatenate([data.split[name] for name in ("val", "train") if name in data.split])
    return data.batch(chosen[:CHECKED_IMAGES])
