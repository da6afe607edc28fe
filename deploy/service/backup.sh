#!/bin/sh
# Copies a server while it runs: sh deploy/service/backup.sh STATE RESULTS COPY
# STATE is the folder of --state, RESULTS that of --results; COPY may be one from before, of which only what has changed
# is copied. Needs python3 and rsync. To restore, copy the two folders in COPY back while no server runs.
set -eu

state=${1:?usage: backup.sh STATE RESULTS COPY}
results=${2:?usage: backup.sh STATE RESULTS COPY}
copy=${3:?usage: backup.sh STATE RESULTS COPY}
mkdir -p "$copy/state" "$copy/results"

# First the database, whole as of one moment: what comes later is found in the results.
if [ -f "$state/service.db" ]; then
    python3 - "$state/service.db" "$copy/state/service.db" << 'PYTHON'
import contextlib
import pathlib
import sqlite3
import sys

source, target = map(pathlib.Path, sys.argv[1:])
draft = target.with_name(f"{target.name}.new")
draft.unlink(missing_ok=True)
with contextlib.closing(sqlite3.connect(source)) as here, contextlib.closing(sqlite3.connect(draft)) as there:
    here.backup(there)
draft.replace(target)
PYTHON
fi

copied() {
    # 24: files have gone meanwhile, as the drafts of files that are replaced do
    rsync --archive --delete "$@" || [ $? = 24 ]
}
copied --exclude 'service.db*' --exclude ray --exclude server.json "$state/" "$copy/state/"
copied --exclude .service --exclude lock --exclude ray --exclude 'study.db*' "$results/" "$copy/results/"
