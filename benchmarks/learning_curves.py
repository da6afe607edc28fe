"""Draw the learning curves of a search: the objective by epoch, a line a trial.

python benchmarks/learning_curves.py results/NAME docs/demo.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.store import Store

COLOURS = {True: "#8a8f98", False: "#0b6bcb"}
"""wholly frozen; partly trained"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", type=Path, help="folder of a search")
    parser.add_argument("picture", type=Path, help="file to write, .png or .svg")
    arguments = parser.parse_args()
    draw(Store.open(arguments.search, arguments.search.parent).record(), arguments.picture)


def draw(search: SearchRecord, picture: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    best = search.best
    for trial in search.trials:
        values = [epoch.value for epoch in trial.epochs]
        if not values:
            continue
        frozen = trial.freeze_blocks == trial.total_blocks
        is_best = best is not None and trial.id == best.id
        epochs = [epoch.epoch for epoch in trial.epochs]
        axes.plot(
            epochs, values, color=COLOURS[frozen], linewidth=2.6 if is_best else 1.3, alpha=1 if is_best else 0.75
        )
        if trial.status == "pruned":
            axes.plot(epochs[-1], values[-1], "x", color=COLOURS[frozen], markersize=8)
        if is_best or trial.baseline:
            name = f"{'best' if is_best else 'baseline'}: {_settings(trial)}"
            axes.annotate(
                name,
                (epochs[-1], values[-1]),
                (-4, 5 if is_best else -14),
                textcoords="offset points",
                ha="right",
                fontsize=9,
            )
    for frozen, text in ((True, "all blocks frozen"), (False, "last blocks trained")):
        axes.plot([], [], color=COLOURS[frozen], label=text)
    axes.plot([], [], "x", color="#555555", label="pruned by ASHA")
    axes.set(xlabel="epoch", ylabel=f"{search.metric} on validation", title=f"{len(search.trials)} trials")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110, metadata={"Software": None} if picture.suffix == ".png" else None)


def _settings(trial: TrialRecord) -> str:
    return f"{trial.config['backbone']}, {table.head(trial.config['head'])}"


if __name__ == "__main__":
    main()
