"""The settings of who runs the tests: no test has them by chance, and one against a server of theirs needs them."""

from __future__ import annotations

import os

OWN = {
    name: value
    for name, value in os.environ.items()
    if name.startswith(("THAW_", "RAY_", "CLEARML_", "TRAINS_", "WANDB_", "MLFLOW_"))
}
