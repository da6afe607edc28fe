"""Commands on a server; what they print is what the same command prints here."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trainable.errors import UserError
from tuner.cli.app import EXIT_FAILED
from tuner.cli.elsewhere import Call, OnServer
from tuner.cli.options import added
from tuner.cli.printing import print_facts, print_or_write, print_searches
from tuner.cli.submission import SUBMITTED, space_of, submission_of

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.client.answers import Search

_LOOK_SECONDS = 1.0
_GRANTED = frozenset({"hours", "gpu_hours", "disk_gib", "accept_changes"})


def _ls(client: "Client", call: Call) -> None:
    listed = sorted(client.searches(), key=lambda search: search.name)
    print_searches([_facts(search) for search in listed], client.url, as_json=call.value("as_json"))


def _show(client: "Client", call: Call) -> None:
    trial = call.value("trial")
    facts = _facts(client.search(call.search)) if trial is None else client.trial(call.search, trial)
    print_facts(facts, as_json=call.value("as_json"))


def _leaderboard(client: "Client", call: Call) -> None:
    form, top = call.value("format"), call.value("top")
    if form == "html" and top:
        raise UserError("--top: a server has its page with all rows only; leave it out, or give another --format")
    text = client.report_html(call.search) if form == "html" else client.leaderboard(call.search, form, top)
    print_or_write(text, call.value("out"))


def _logs(client: "Client", call: Call) -> None:
    from tuner.client.answers import WAITING
    from tuner.live import PlainLines

    lines, told = PlainLines(sys.stdout), 0
    if call.value("follow"):
        for event in client.events(call.search):
            if event.seq is not None:
                lines.hear(event.data)
                told = event.seq
            elif event.data["state"] not in WAITING:
                break
    for event in client.events(call.search, told, follow=False):
        lines.hear(event.data)


def _stop(client: "Client", call: Call) -> None:
    from tuner.client.answers import WAITING

    search, until = client.stop(call.search), time.monotonic() + call.value("wait")
    while search.state in WAITING:
        if time.monotonic() > until:
            raise UserError(
                f"search {search.name!r} is not through with stopping; it goes on by itself, see `tuner ls`"
            )
        time.sleep(_LOOK_SECONDS)
        search = client.search(search.name)
    print(f"search {search.name} is stopped; `tuner resume {search.name}` goes on")


def _search(client: "Client", call: Call) -> None:
    _submit_and(client, call, follow=True)


def _submit(client: "Client", call: Call) -> None:
    _submit_and(client, call, follow=call.value("follow"))


def _resume(client: "Client", call: Call) -> None:
    printed = client.logs(call.search).size
    client.resume(call.search, **_granted(call))
    _watch(client, call.search, printed)


def _extend(client: "Client", call: Call) -> None:
    space = call.value("space")
    more = {
        "trials": added("--trials", call.value("trials")),
        "epochs": added("--epochs", call.value("epochs")),
        "top": call.value("top"),
        **(space_of(space) if space else {}),
        **_granted(call),
    }
    printed = client.logs(call.search).size
    client.extend(call.search, **more)
    _watch(client, call.search, printed)


def _submit_and(client: "Client", call: Call, *, follow: bool) -> None:
    submission = {"name": f"{Path(call.value('space')).stem}-{datetime.now():%Y%m%d-%H%M%S}", **submission_of(call)}
    search = client.submit(submission)
    if follow:
        _watch(client, search.name, 0)
    else:
        print(f"search {search.name} is {search.state} at {client.url}, whatever becomes of this machine")
        print(f"  tuner logs {search.name} --follow --remote")


def _watch(client: "Client", name: str, printed: int) -> None:
    """Print what a search's process prints, beyond so many bytes, to its end, and end as it does."""
    try:
        for text in client.printed(name, printed):
            sys.stdout.write(text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        goes_on = f"search {name} goes on at {client.url}"
        print(f"{goes_on}; `tuner logs {name} --follow --remote`, `tuner stop {name} --remote`", file=sys.stderr)
        raise
    search = client.search(name)
    if search.state != "complete":
        print(f"search {name} {search.state}{f' ({search.reason})' if search.reason else ''}", file=sys.stderr)
        raise typer.Exit(search.exit_code or EXIT_FAILED)


def _granted(call: Call) -> dict[str, Any]:
    return {name: call.value(name) for name in _GRANTED if call.is_given(name)}


def _facts(search: "Search") -> dict[str, Any]:
    """What `tuner show` says of a search; where the server knows better than its log, how it is."""
    if search.facts is not None:
        is_told = search.state == search.facts["status"] and not search.has_changed
        return search.facts if is_told else {**search.facts, "status": search.state, "reason": search.reason}
    return {
        **{"name": search.name, "status": search.state, "reason": search.reason},
        **{"finished": "", "objective": "", "best_value": None, "started": ""},
    }


LS = OnServer(_ls, frozenset({"as_json"}))
SHOW = OnServer(_show, frozenset({"name", "trial", "as_json"}))
LEADERBOARD = OnServer(_leaderboard, frozenset({"name", "format", "top", "out"}))
LOGS = OnServer(_logs, frozenset({"name", "follow"}))
STOP = OnServer(_stop, frozenset({"name", "wait"}))
SEARCH = OnServer(_search, SUBMITTED)
SUBMIT = OnServer(_submit, SUBMITTED | {"follow"})
RESUME = OnServer(_resume, _GRANTED | {"name"})
EXTEND = OnServer(_extend, _GRANTED | {"name", "trials", "space", "epochs", "top"})
