"""A finished (or running) search in Python: its table, its best config, its model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.config import TrialConfig, parse_config
from trainable.errors import UserError
from tuner.config import SearchConfig, parse_options
from tuner.records import SearchRecord, TrialRecord
from tuner.report.leaderboard import rows, to_markdown
from tuner.run import run_search
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
        return parse_config(dict(self._trial(None).config))

    def frame(self) -> pd.DataFrame:
        """The leaderboard, a row a trial, with the columns of leaderboard.csv."""
        import pandas as pd

        return pd.DataFrame(rows(self.record))

    def model(self, trial: str | None = None) -> TrainedModel:
        """The model of a trial's best epoch; None: of the best trial.

        Raises:
            UserError: no trial has finished, there is no such trial, or its checkpoint is gone.
        """
        from trainable.predict import load_model
        from trainable.train import trial_device

        return load_model(self.store.checkpoints(self._trial(trial).id) / "best.pt", trial_device())

    def predict(self, images: Sequence[Path | str]) -> list[Prediction]:
        """Labels and probabilities of image files by the best model."""
        return list(self.model().predict([Path(image) for image in images]))

    def _trial(self, id: str | None) -> TrialRecord:
        if id is None:
            best = self.record.best
            if best is None:
                raise UserError(f"search {self.store.name!r}: no trial has finished yet")
            return best
        found = next((trial for trial in self.record.trials if trial.id == id), None)
        if found is None:
            raise UserError(f"search {self.store.name!r} has no trial {id!r}; `tuner leaderboard` lists them")
        return found

    def __repr__(self) -> str:
        return to_markdown(self.record, top=10)


def search(space: str | Path, data: str | Path, name: str, **options: Any) -> Result:
    """Search and wait for the end.

    Args:
        space: a shipped space's name, or a file
        data: a folder of class folders or split folders, or a CSV or Parquet manifest
        name: of the search's folder in `results`
        options: as in SearchConfig; `data_options` as in DataConfig

    Raises:
        UserError: every mistake in space, data or options.
    """
    data_options = options.pop("data_options", {})
    fields = {"name": name, "space": str(space), "data": {"path": Path(data).absolute(), **data_options}, **options}
    return Result(run_search(parse_options(SearchConfig, **fields)))


def load(name: str | Path, results: str | Path = "results") -> Result:
    """A search that was run before, or is running, by its name in `results` or its folder.

    Raises:
        UserError: there is no such search.
    """
    return Result(Store.open(name, results))
