"""results/JOURNAL.md: an entry a search, newest first, made of what the searches left; and the notes in it."""

from __future__ import annotations

import contextlib
import csv
from urllib.parse import quote

from filelock import FileLock

from trainable.errors import UserError, nearest
from tuner.report.journal_entry import Standing, to_entry
from tuner.storage.place import Place, as_place, beneath
from tuner.storage.results_folder import edited
from tuner.store import Store, list_searches, write_atomically
from tuner.wording.language import LANGUAGES, Language, marked, wording

FILE = "JOURNAL.md"
_MARK = "<!-- Made by tuner"
_SHOWN = (marked("shown, better"), marked("shown, worse"))
"""verdicts on a setting that does something"""
_SENTENCES = 3
"""of a search's conclusions that its entry repeats"""


def add_note(store: Store, text: str, trial: str | None = None) -> None:
    """Write a person's remark on a search, or on one of its trials, also while it runs.

    Raises:
        UserError: nothing in the text, no such trial, or a folder that cannot be written to.
    """
    if not text.strip():
        raise UserError("note: the text is empty; write what you saw, such as 'next: more epochs'")
    if trial is not None:
        search = store.record()
        ids = [one.id for one in (*search.trials, *search.reruns)]
        if trial not in ids:
            raise UserError(f"search {store.name!r} has no trial {trial!r}{nearest(trial, ids)} (it has {len(ids)})")
    try:
        store.note(text.strip(), trial)
    except OSError as error:
        raise UserError(f"{store.notes_jsonl}: cannot be written ({error.strerror}); the note is not kept") from None


def refresh_journal(store: Store) -> None:
    """Bring the journal beside a search's folder up to date, by whoever holds the search's lock."""
    try:
        write_journal(store.results, store.record().language)
    except UserError as error:  # someone else's JOURNAL.md: what was done is done
        store.append("note", text=f"the journal is not up to date: {error}")


def write_journal(results: Place, language: Language = "en") -> Place:
    """Make JOURNAL.md of all searches in a results folder; a folder that cannot be read is named at its end.

    Entries are in the languages of their searches, what is around them in `language`.

    Raises:
        UserError: the file there is not a journal made here, or cannot be written.
    """
    place = beneath(as_place(results), FILE)
    try:
        with edited(results, FILE) as path, FileLock(path.with_name(".journal.lock")):
            if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
                raise UserError(f"{place}: not made by tuner, so it is left as it is; rename it to get a journal")
            entries, unread = _entries(results)
            told = wording(language)("Could not be read: {folders}.", folders=", ".join(unread))
            write_atomically(path, "\n".join([_head(language), *entries, *([f"{told}\n"] if unread else [])]))
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror})") from None
    return place


def _head(language: Language) -> str:
    say = wording(language)
    edits = say("of the searches beside it. Edits are lost here: write with `tuner note NAME TEXT`.")
    about = say("Newest search first. Changes in brackets are from the search's baseline. Times are UTC.")
    return f"{_MARK} {edits} -->\n\n# {say('Journal')}\n\n{about}\n"


def _entries(results: Place) -> tuple[list[str], list[str]]:
    """Entries, newest first, and the folders that cannot be read."""
    entries, unread = [], []
    for store in list_searches(results):
        try:
            entries.append(_entry(store))
        except OSError as error:
            unread.append(f"{store.folder.name} ({error.strerror})")
    return sorted(filter(None, entries), reverse=True), unread


def _entry(store: Store) -> str:
    """A search's entry, made anew only where its folder has changed: there may be hundreds, with long logs.

    Raises:
        OSError: the folder cannot be read.
    """
    name, stamp, kept = store.folder.name, _stamp(store), store.journal_md
    if kept.exists():
        head, _, entry = kept.read_text(encoding="utf-8", errors="replace").partition("\n")
        if head == stamp:
            return entry
    search = store.record()
    if not search.started:  # another program's events.jsonl
        return ""
    link = f"{quote(name)}/{store.leaderboard_md.name}" if store.leaderboard_md.exists() else None
    standing = _standing(store, search.best.id) if search.best else Standing()
    entry = to_entry(search, name, standing, _conclusions(store), link)
    if search.status != "running":  # which may end without a word
        with contextlib.suppress(OSError):  # a copy that saves time
            write_atomically(kept, f"{stamp}\n{entry}")
    return entry


def _stamp(store: Store) -> str:
    """What an entry is made of, and as of when; taken before it is read, so that what comes in meanwhile changes it."""
    sources = (store.events_jsonl, store.notes_jsonl, store.leaderboard_csv, store.conclusions_md)
    found = [(path.name, path.stat()) for path in sources if path.exists()]
    of = ", ".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in found)
    return f"<!-- {store.folder.name}: {of} -->"


def _standing(store: Store, best: str) -> Standing:
    """Of leaderboard.csv, so that the journal says what the table that it links to says."""
    if not store.leaderboard_csv.exists():
        return Standing()
    with store.leaderboard_csv.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = {row.get("trial"): row for row in csv.DictReader(file)}
    tied = tuple(trial for trial, row in rows.items() if trial and trial != best and row.get("tied") == "true")
    try:
        interval = float(rows[best]["ci_low"]), float(rows[best]["ci_high"])
    except (KeyError, TypeError, ValueError):  # no interval, or a table of before there were any
        return Standing(tied)
    return Standing(tied, interval)


def _conclusions(store: Store) -> list[str]:
    """The first points of conclusions.md that say of a setting that it does something."""
    if not store.conclusions_md.exists():
        return []
    lines = store.conclusions_md.read_text(encoding="utf-8", errors="replace").splitlines()
    marks = [f": {wording(language)(verdict)}" for language in LANGUAGES for verdict in _SHOWN]
    shown = (line for line in lines if line.startswith("- ") and any(mark in line for mark in marks))
    return [line.removeprefix("- ") for line in shown][:_SENTENCES]
