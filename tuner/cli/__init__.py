"""The command line: a thin door over the modules that do the work, imported when a command needs them."""

# in the order in which --help lists their commands
from tuner.cli import searching, submitting, checking, planning, results, dashboard, tracking  # noqa: F401, I001
from tuner.cli import evidence, models, catalogue, inspecting, serving, tokens, users, login, uploading  # noqa: F401
from tuner.cli.app import app, main

__all__ = ["app", "main"]
