"""Which Ray a search runs on."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from trainable.errors import UserError
from tuner.ray_backend.session import ray_session


def test_an_address_without_a_cluster_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> None:
        raise ConnectionError(f"Could not connect to {options['address']}\nand more")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setenv("RAY_ADDRESS", "nowhere:6379")
    with pytest.raises(UserError, match="RAY_ADDRESS=nowhere:6379") as caught, ray_session():
        pass
    assert len(caught.value.mistakes) == 1
    assert "and more" not in caught.value.mistakes[0]
