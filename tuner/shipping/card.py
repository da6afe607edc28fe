"""MODEL_CARD.md: what an exported model does, how well, what is not known of it, and how to run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.document import write_yaml
from trainable.data.splits import SPLITS, SplitRow
from tuner.evidence.gathering import Interval
from tuner.report import table
from tuner.shipping.chosen import ChosenModel
from tuner.tolerant import mapping, number

FEW_IMAGES = 30
"""A label with fewer training images is named among the limits."""

SNIPPET = """\
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
facts = session.get_modelmeta().custom_metadata_map
labels, size = json.loads(facts["labels"]), int(facts["image_size"])

image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")
pixels = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
probabilities, decisions = session.run(None, {"images": pixels[None]})
for label, probability, decided in zip(labels, probabilities[0], decisions[0]):
    print(label, float(probability), "yes" if decided else "no")
"""

_HOW_TO_RUN = f"""```bash
tuner predict model.onnx images/
```

reads images as they were read in training, and needs no search. Without Thaw:

```python
{SNIPPET}```

Put transparent images on white first. For PyTorch `torch.export.load("model.pt2").module()` takes the same images as a
tensor."""


@dataclass(frozen=True)
class Checked:
    """How exported files were proved."""

    differences: Mapping[str, float]
    """file -> the largest difference of a probability from torch's"""
    images: int
    versions: Mapping[str, str]


def model_card(
    model: ChosenModel,
    thresholds: Sequence[float],
    rows: Sequence[SplitRow],
    interval: Interval | None,
    checked: Checked,
) -> str:
    """The card as Markdown.

    Args:
        model: what was exported
        thresholds: that it decides by, a label each; unused in multi-class
        rows: of the search's splits.csv
        interval: of the trial's objective on validation, where there is one
        checked: what came of checking the files
    """
    sections = [
        f"# {table.escape(model.search.name)}: {model.name}\n\n{_purpose(model)}",
        _facts(model),
        f"## Scores\n\n{_scores(model, interval)}",
        f"## Labels\n\n{_labels(model, thresholds, rows)}",
        f"## Limits\n\n{_limits(model, rows)}",
        f"## How to run it\n\n{_HOW_TO_RUN}",
        f"## How it was made\n\n{_how_it_was_made(model, checked)}",
        f"## Licence\n\n{_licence(model)}",
    ]
    return "\n\n".join(sections) + "\n"


def _purpose(model: ChosenModel) -> str:
    labels = len(model.search.labels)
    if model.search.task == "multiclass":
        return f"Says which one of {labels} classes an image belongs to."
    return f"Says which of {labels} labels an image has: none, one or several."


def _facts(model: ChosenModel) -> str:
    trial, search = model.trial, model.search
    size, labels = trial.config.get("image_size"), len(search.labels)
    sizes = mapping(search.data.get("sizes"))
    frozen = table.freeze(trial.config.get("freeze"), trial.freeze_blocks, trial.total_blocks)
    trained_on = " + ".join(f"{name} ({sizes.get(name, 0)} images)" for name in model.splits)
    facts = {
        "Input": f"`images`, uint8 `[n, {size}, {size}, 3]`: RGB, stretched to {size} x {size} pixels, any n",
        "Outputs": f"`probabilities`, float32, and `decisions`, uint8 of 0 and 1; both `[n, {labels}]`",
        "Inside": f"normalisation, network, {_decided(model)}",
        "Network": f"{table.escape(str(trial.config.get('backbone')))}, {_count(trial.total_parameters)} parameters; "
        f"blocks frozen in training: {frozen}",
        "Trained on": trained_on,
        "Data": f"{', '.join(f'{name} {count}' for name, count in sizes.items())} images; hash `{_data_hash(model)}`",
        "Comes from": f"search {table.escape(search.name)} (space {table.escape(search.space)}), trial {trial.id}",
    }
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())


def _decided(model: ChosenModel) -> str:
    if model.search.task == "multiclass":
        return "softmax; the likeliest class is the decision"
    return "sigmoid; a label is given at or above its threshold"


def _scores(model: ChosenModel, interval: Interval | None) -> str:
    search, trial = model.search, model.trial
    test = model.retrained.test if model.retrained else trial.test
    names = sorted({*trial.best_metrics, *test}, key=lambda name: (name != search.metric, name))
    rows = [[name, table.metric(trial.best_metrics.get(name)), table.metric(test.get(name))] for name in names]
    if interval and rows:
        rows[0][1] += f" ({table.metric(interval.low)} to {table.metric(interval.high)})"
    notes = [
        f"`{search.metric}` on validation is what the search selected for among {len(search.ranked())} trials, and is "
        "optimistic by that."
    ]
    if interval:
        notes.append("In brackets its 95 % interval over validation images, optimistic likewise.")
    if model.retrained:
        notes.append(f"Validation is that of trial {trial.id} before retraining: the model itself has trained on it.")
    notes.append(_test_note(model, test))
    return f"{table.table(['metric', 'validation', 'test'], rows)}\n\n{' '.join(notes)}"


def _test_note(model: ChosenModel, test: Mapping[str, float]) -> str:
    if "test" in model.splits:
        return "It has trained on test as well, so no image is left to score it on."
    if not test:
        return "It was not scored on test."
    return f"The search chose nothing by test; it was read {model.search.test_reads} times in all."


def _labels(model: ChosenModel, thresholds: Sequence[float], rows: Sequence[SplitRow]) -> str:
    counts, multilabel = _images_of_labels(rows), model.search.task == "multilabel"
    of_label = mapping(model.trial.best_details.get("per_class"))
    lines = []
    for label, threshold in zip(model.search.labels, thresholds, strict=True):
        images = [str(counts[split, label]) for split in SPLITS]
        scores = [number(mapping(of_label.get(label)).get(name)) for name in ("precision", "recall", "f1")]
        decided = [f"{threshold:.3f}"] if multilabel else []
        lines.append([label, *decided, *images, *map(table.metric, scores)])
    headers = ["label", *(["threshold"] if multilabel else []), *SPLITS, "precision", "recall", "F1"]
    return f"{table.table(headers, lines)}\n\nImages by split; precision, recall and F1 on validation."


def _limits(model: ChosenModel, rows: Sequence[SplitRow]) -> str:
    search, counts = model.search, _images_of_labels(rows)
    tested = model.retrained.test if model.retrained else model.trial.test
    limits = [
        ("Tested" if tested else "Not tested; chosen")
        + " on images of the search's own data alone: other sources, cameras or times may be harder.",
        "Not examined: calibration of the probabilities, bias against groups of people, attacks, damaged images.",
        "Images are stretched to a square, so shapes are distorted; very long or wide ones were not tested apart.",
        "What its labels do not name it cannot say; "
        + ("every image is given one of the classes." if search.task == "multiclass" else "it may give no label."),
    ]
    few = [f"{label} ({counts['train', label]})" for label in search.labels if counts["train", label] < FEW_IMAGES]
    if few:
        limits.append(f"Fewer than {FEW_IMAGES} training images: {table.escape(', '.join(few))}.")
    for split in (name for name in SPLITS[1:] if any(row.split == name for row in rows)):
        unseen = [label for label in search.labels if not counts[split, label]]
        if unseen:
            limits.append(f"No image in {split}, so not scored there: {table.escape(', '.join(unseen))}.")
    warnings = search.data.get("warnings")
    if isinstance(warnings, list) and warnings:
        more = f"; and {len(warnings) - 1} more in `search.yaml`" if len(warnings) > 1 else ""
        limits.append(f"Of the data, inspection says: {table.escape(str(warnings[0]))}{more}.")
    if model.retrained:
        limits.append("Its thresholds are those of the model before retraining.")
    return "\n".join(f"- {limit}" for limit in limits)


def _how_it_was_made(model: ChosenModel, checked: Checked) -> str:
    search = model.search
    agreement = ", ".join(f"`{file}` differs by at most {value:.1e}" for file, value in checked.differences.items())
    steps = f" for {model.retrained.steps} optimiser steps" if model.retrained else ""
    found = [
        f"- best epoch {_epochs(model)}, data seed {search.data.get('data_seed')}{steps}",
        f"- checked against torch on {checked.images} real images, in batches of several sizes: {agreement}",
        f"- trained with {_listed(search.versions)}; commit {search.git or 'unknown'}",
        f"- exported with {_listed(checked.versions)}",
    ]
    return "\n".join(found) + f"\n\n```yaml\n{write_yaml(_plain(model.trial.config))}```"


def _epochs(model: ChosenModel) -> str:
    return f"{model.trial.best_epoch or 0:g} of {model.trial.epochs_run:g}"


def _licence(model: ChosenModel) -> str:
    backbone = table.escape(str(model.trial.config.get("backbone")))
    return (
        f"To be said by whoever passes the model on. The pretrained weights of {backbone}, the images and their labels "
        "have licences of their own, which Thaw does not know."
    )


def _images_of_labels(rows: Sequence[SplitRow]) -> Counter[tuple[str, str]]:
    """(split, label) -> images."""
    return Counter((row.split, label) for row in rows for label in row.labels)


def _data_hash(model: ChosenModel) -> str:
    return str(model.search.data.get("hash", ""))


def _count(parameters: int | None) -> str:
    return "unknown" if parameters is None else f"{parameters:,}"


def _listed(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) if isinstance(value, Mapping) else value for name, value in config.items()}
