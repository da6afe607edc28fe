"""Is a search worth it? Its best trial against logistic regression on frozen features, on the same test images.

    python benchmarks/logistic_regression.py results/NAME

The peer is as strong as it gets without a search: for each backbone of the search, features of the wholly frozen
network are standardised on the training images, and one of seven values of C is chosen on validation (scikit-learn,
one regression a label); the backbone is chosen on validation as well. The difference of the objective on test is given
with a 95 % interval from a paired bootstrap over images, groups drawn whole.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from trainable.classifier import build_classifier
from trainable.config import TrialConfig, parse_config
from trainable.data.dataset import ImageDataset, open_dataset
from trainable.data.features import PrefixFeatures
from trainable.evaluation import predict_all, split_logits
from trainable.metrics import Predictions, scores
from trainable.predict import load_model
from trainable.weights import require_weights
from tuner.replay import replay
from tuner.store import Store

CS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
RESAMPLES = 2000
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", type=Path, help="folder of a finished search")
    folder = parser.parse_args().search
    store = Store.open(folder, folder.parent)
    search = replay(store.events())
    best = search.best
    if best is None:
        raise SystemExit("no trial has finished")
    config = parse_config(dict(best.config))
    data = open_dataset(
        store.splits, Path(search.data["root"]), search.labels, search.task, config.image_size, search.data["data_seed"]
    )
    backbones = sorted({trial.config["backbone"] for trial in search.trials})
    peers = [regression(backbone, config, data, search.metric) for backbone in backbones]
    peer = max(peers, key=lambda found: found["val"])
    ours = test_predictions(store.checkpoints(best.id) / "best.pt", data)
    low, middle, high = paired_difference(ours, peer["predictions"], data.groups[data.split["test"]], search.metric)
    result = {
        "objective": search.metric,
        "best_trial": {"trial": best.id, "val": best.best_value, "test": score(ours, search.metric)},
        "logistic_regression": {
            **{name: peer[name] for name in ("backbone", "C", "val")},
            "test": score(peer["predictions"], search.metric),
            "all": [{name: found[name] for name in ("backbone", "C", "val")} for found in peers],
        },
        "difference_on_test": {"median": middle, "low_95": low, "high_95": high, "images": len(data.split["test"])},
    }
    print(json.dumps(result, indent=1))


def score(predictions: Predictions, metric: str) -> float:
    return scores(predictions, [metric])[metric]


def frozen_features(backbone: str, config: TrialConfig, data: ImageDataset) -> dict[str, np.ndarray]:
    whole = config.model_copy(update={"backbone": backbone, "freeze": "all", "stages": (), "head_warmup_epochs": 0})
    classifier = build_classifier(whole, len(data.labels), require_weights([backbone])[backbone])
    classifier.freeze(len(classifier.blocks))
    classifier.eval()
    features = PrefixFeatures(classifier, data, CPU)
    return {split: features.plain(images).numpy() for split, images in data.split.items()}


def regression(backbone: str, config: TrialConfig, data: ImageDataset, metric: str) -> dict:
    features = frozen_features(backbone, config, data)
    scaler = StandardScaler().fit(features["train"])
    inputs = {split: scaler.transform(found) for split, found in features.items()}
    found = []
    for c in CS:
        regressor = LogisticRegression(C=c, max_iter=2000)
        model = OneVsRestClassifier(regressor) if data.task == "multilabel" else regressor
        model.fit(inputs["train"], data.targets[data.split["train"]])
        value = score(_predictions(model, inputs["val"], data, "val"), metric)
        found.append({"backbone": backbone, "C": c, "val": value, "model": model})
    best = max(found, key=lambda row: row["val"])
    return {**best, "predictions": _predictions(best["model"], inputs["test"], data, "test")}


def _predictions(model: object, inputs: np.ndarray, data: ImageDataset, split: str) -> Predictions:
    probabilities = torch.from_numpy(model.predict_proba(inputs)).clamp(1e-7, 1 - 1e-7)  # type: ignore[attr-defined]
    logits = probabilities.logit() if data.task == "multilabel" else probabilities.log()
    targets = torch.from_numpy(data.targets[data.split[split]])
    return predict_all(logits.float(), targets, data.task)


def test_predictions(checkpoint: Path, data: ImageDataset) -> Predictions:
    model = load_model(checkpoint, CPU)
    images = data.split["test"]
    logits = split_logits(model.classifier, PrefixFeatures(model.classifier, data, CPU), images)
    return predict_all(logits, torch.from_numpy(data.targets[images]), data.task)


def paired_difference(
    ours: Predictions, peers: Predictions, groups: np.ndarray, metric: str
) -> tuple[float, float, float]:
    """Low, median and high of the 95 % bootstrap interval of ours minus theirs; groups are drawn whole."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    differences = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])
        differences.append(score(_rows(ours, drawn), metric) - score(_rows(peers, drawn), metric))
    low, middle, high = np.nanquantile(differences, [0.025, 0.5, 0.975])
    return float(low), float(middle), float(high)


def _rows(predictions: Predictions, rows: np.ndarray) -> Predictions:
    chosen = torch.from_numpy(rows)
    return Predictions(
        predictions.probabilities[chosen], predictions.decisions[chosen], predictions.targets[chosen], predictions.loss
    )


if __name__ == "__main__":
    main()
