"""Search hyperparameters of transfer-learned image classifiers.

from tuner import search, load
"""

from typing import Any

__all__ = ["load", "search"]


def __getattr__(name: str) -> Any:
    # the command line imports this package for `--help`: what searching needs comes with its first use
    if name in __all__:
        from tuner import result

        return getattr(result, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
