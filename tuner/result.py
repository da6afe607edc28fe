"""A finished (or running) search in Python: its table, its best config, its model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.config import TrialConfig, parse_config
from tuner.config import SearchConfig, parse_options
from tuner.evidence.gathering import gather
from tuner.records import Retrained, SearchRecord
from tuner.report.leaderboard import rows, to_markdown
from tuner.run import run_search
from tuner.shipping.chosen import choose_model, choose_trial
from tuner.shipping.exporting import Export, export_model
from tuner.shipping.retraining import retrain_model
from tuner.storage.place import Place
from tuner.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from trainable.labelling import Prediction
    from trainable.predict import TrainedModel


class Result:
    """What a search has found so far."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def record(self) -> SearchRecord:
        """The search and all its trials as they are now."""
        return self.store.record()

    @property
    def best(self) -> TrialConfig:
        """The best trial's config."""
        return parse_config(dict(choose_trial(self.record, None).config))

    def frame(self) -> pd.DataFrame:
        """The leaderboard, a row a trial, with the columns of leaderboard.csv."""
        import pandas as pd

        record = self.record
        return pd.DataFrame(rows(record, gather(self.store, record)))

    def model(self, trial: str | None = None, *, retrained: bool = False) -> TrainedModel:
        """The model of a trial's best epoch (None: of the best trial), or the latest that was retrained.

        Raises:
            UserError: no trial has finished, there is no such trial or model, or its checkpoint is gone.
        """
        from trainable.devices import trial_device
        from trainable.predict import load_model

        return load_model(choose_model(self.store, trial, retrained=retrained).checkpoint, trial_device())

    def export(self, out: str | Path | None = None, trial: str | None = None, *, retrained: bool = False) -> Export:
        """Files that need no search: ONNX, torch.export and a model card, in a new folder.

        Raises:
            UserError: as `model`, the folder exists, or images or libraries are missing.
            DisagreementError: a file does not say what the model says.
        """
        chosen = choose_model(self.store, trial, retrained=retrained)
        return export_model(self.store, chosen, None if out is None else Path(out))

    def retrain(self, trial: str | None = None, *, all_data: bool = False) -> Retrained:
        """Train a trial's config (None: the best one's) on train and val, with `all_data` on test too.

        Raises:
            UserError: the search is running, or trial, data, weights or place are not as they must be.
            DivergedError: the loss became NaN or infinite.
        """
        return retrain_model(self.store, trial, all_data=all_data)

    def predict(self, images: Sequence[Path | str]) -> list[Prediction]:
        """Labels and probabilities of image files by the best model."""
        return list(self.model().predict([Path(image) for image in images]))

    def __repr__(self) -> str:
        record = self.record
        return to_markdown(record, gather(self.store, record), top=10)


def search(space: str | Path, data: str | Path, name: str, *, address: str | None = None, **options: Any) -> Result:
    """Search and wait for the end.

    Args:
        space: a shipped space's name, or a file
        data: a folder of class folders or split folders, or a CSV or Parquet manifest
        name: of the search's folder in `results`, which is a folder too, or a URL
        address: of the Ray cluster to run on, as HOST:PORT or `auto`; None: `RAY_ADDRESS`, or this machine alone
        options: as in SearchConfig; `data_options` as in DataConfig

    Raises:
        UserError: every mistake in space, data or options.
    """
    data_options = options.pop("data_options", {})
    fields = {"name": name, "space": str(space), "data": {"path": Path(data).absolute(), **data_options}, **options}
    return Result(run_search(parse_options(SearchConfig, **fields), address=address))


def load(name: Place, results: Place = "results") -> Result:
    """A search that was run before, or is running, by its name in `results`, its folder or its URL.

    Raises:
        UserError: there is no such search.
    """
    return Result(Store.open(name, results))
