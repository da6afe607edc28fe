"""The images that a search was run on, by its stored split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from trainable.errors import UserError
from trainable.task import Task
from tuner.records import SearchRecord
from tuner.store import Store

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset


def open_stored(store: Store, search: SearchRecord, image_size: int) -> ImageDataset:
    """The search's data set at a size, in pixels.

    Raises:
        UserError: images are missing or changed, or splits.csv is no longer the search's.
    """
    from trainable.data.dataset import open_dataset

    facts = search.data
    data = open_dataset(
        store.splits, Path(facts["root"]), search.labels, cast("Task", search.task), image_size, facts["data_seed"]
    )
    if data.data_hash != facts["hash"]:
        raise UserError(
            f"{store.splits}: not the data that the search was run on (hash {data.data_hash[:12]}, not "
            f"{facts['hash'][:12]}); put the file back"
        )
    return data
