"""The application: commands register here, and mistakes become lines on stderr."""

import gc
import os
import sys
from typing import NoReturn

import typer

from trainable.disk import is_disk_full, told_of_disk
from trainable.errors import UnreachableTrackerError, UserError

EXIT_FAILED, EXIT_MISTAKE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 2, 4, 130

app = typer.Typer(
    help="Search hyperparameters of transfer-learned image classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> NoReturn:
    """The `tuner` command: mistakes are lines on stderr and exit code 2, never a traceback."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        for mistake in error.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        sys.exit(EXIT_UNREACHABLE if isinstance(error, UnreachableTrackerError) else EXIT_MISTAKE)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # whoever read has gone, as `head` does; what is still buffered must not be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if is_disk_full(error):
            print(f"error: the disk is full: {told_of_disk(error)}", file=sys.stderr)
            sys.exit(EXIT_FAILED)
        if hasattr(error, "format_message"):  # typer's own: an unknown option, a missing argument
            asked = getattr(getattr(error, "ctx", None), "command_path", "tuner")
            message = error.format_message().replace("Value error, ", "").rstrip(".")
            print(f"error: {message}; see `{asked} --help`", file=sys.stderr)
            sys.exit(EXIT_MISTAKE)
        raise
    gc.freeze()  # a second's work of the collector, just before all memory is freed
    sys.exit(code or 0)
