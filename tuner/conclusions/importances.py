"""How much each axis of a search mattered, as tuner/ray_backend/importance.py computes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FEW_TRIALS = 30
"""below, importances are mostly noise: an axis without any effect got more than half on a dozen trials"""


@dataclass(frozen=True)
class Importances:
    """Shares of 1 over the axes; none where they could not be computed."""

    method: str
    """`fANOVA`: of the variance of the objective; `PED-ANOVA`: of what tells the best quarter from all"""
    trials: int
    """finished ones that it rests on"""
    shares: Mapping[str, float] = field(default_factory=dict)
    """axis -> share, largest first"""
    conditional: bool = False
    """whether some axes exist only beside certain values of others"""
    reason: str = ""
    """why there are none"""
