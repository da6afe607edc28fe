"""Heads: what replaces a backbone's classifier. One class a head = its fields + `build`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from trainable.strict import Strict

if TYPE_CHECKING:
    from torch import nn

Dropout = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=1, le=65536)]


class LinearHead(Strict):
    """One linear layer."""

    kind: Literal["linear"] = "linear"

    def build(self, features: int, outputs: int) -> nn.Module:
        """`[batch, features] -> [batch, outputs]` logits, as for every head."""
        from torch import nn

        return nn.Linear(features, outputs)


class DropoutLinearHead(Strict):
    """Dropout, then one linear layer."""

    kind: Literal["dropout_linear"]
    dropout: Dropout = 0.2

    def build(self, features: int, outputs: int) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.Dropout(self.dropout), nn.Linear(features, outputs))


class MlpHead(Strict):
    """Dropout, linear, ReLU, linear."""

    kind: Literal["mlp"]
    dropout: Dropout = 0.2
    width: Width = 256

    def build(self, features: int, outputs: int) -> nn.Module:
        from torch import nn

        return nn.Sequential(
            nn.Dropout(self.dropout), nn.Linear(features, self.width), nn.ReLU(), nn.Linear(self.width, outputs)
        )


class TwoLinearHead(Strict):
    """Two linear layers with dropout between them and no non-linearity: a low-rank linear head."""

    kind: Literal["two_linear"]
    dropout: Dropout = 0.2
    width: Width = 256

    def build(self, features: int, outputs: int) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.Linear(features, self.width), nn.Dropout(self.dropout), nn.Linear(self.width, outputs))


Head = Annotated[LinearHead | DropoutLinearHead | MlpHead | TwoLinearHead, Field(discriminator="kind")]
