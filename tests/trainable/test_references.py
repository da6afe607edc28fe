from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from small_data import small_dataset
from small_trials import CPU, small_config

from trainable.classifier import build_classifier
from trainable.evaluation import predict_all
from trainable.metrics import parse_objective, scores
from trainable.prefix.features import PrefixFeatures
from trainable.references import INVERSE_PENALTIES, logistic_regression, prevalence
from trainable.task import Task

TASKS: list[Task] = ["multilabel", "multiclass"]


@pytest.mark.parametrize("task", TASKS)
def test_prevalence_knows_the_training_labels_only(task: Task) -> None:
    data = small_dataset(task)
    model = prevalence(data)
    assert model.logits.keys() == {"val", "test"}
    shares = data.positives("train") / len(data.split["train"])
    found = predict_all(model.logits["val"], torch.from_numpy(data.targets[data.split["val"]]), task)
    assert torch.allclose(found.probabilities, torch.from_numpy(shares).float().expand_as(found.probabilities))
    if task == "multiclass":
        majority = np.mean(data.targets[data.split["val"]] == shares.argmax())
        assert scores(found, ["accuracy"])["accuracy"] == pytest.approx(majority)


@pytest.mark.parametrize("task", TASKS)
def test_regression_is_scikit_learns_on_frozen_features(task: Task) -> None:
    data, config = small_dataset(task), small_config(freeze=0)
    objective = parse_objective("average_precision_macro")
    found = logistic_regression(config, data, None, objective, CPU)

    classifier = build_classifier(config, len(data.labels), None)
    classifier.freeze(len(classifier.blocks))
    features = {split: PrefixFeatures(classifier.eval(), data, CPU).plain(i).numpy() for split, i in data.split.items()}
    scaler = StandardScaler().fit(features["train"])
    rows, targets = scaler.transform(features["train"]), data.targets[data.split["train"]]
    penalty = float(found.description.partition(", C ")[2].partition(" ")[0])
    assert penalty in INVERSE_PENALTIES
    probabilities = torch.sigmoid(found.logits["test"]) if task == "multilabel" else found.logits["test"].softmax(1)
    for column in range(len(data.labels)):
        wanted = targets[:, column] if task == "multilabel" else targets
        peer = LogisticRegression(C=penalty, max_iter=2000).fit(rows, wanted)
        expected = peer.predict_proba(scaler.transform(features["test"]))[:, 1 if task == "multilabel" else column]
        assert probabilities[:, column].numpy() == pytest.approx(expected, abs=1e-5)


def test_a_label_that_never_occurs_needs_no_regression() -> None:
    data = small_dataset()
    data.targets[data.split["train"], 0] = 0
    found = logistic_regression(small_config(), data, None, parse_objective("f1_micro"), CPU)
    assert (found.logits["val"][:, 0] < -10).all()
