#!/bin/sh
# Installs Thaw from the folder above this one and lets every shell know: sh deploy/install.sh [EXTRAS]
# Where the host's python3 already has all that it needs, nothing is downloaded; else a virtual environment is made.
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
extras=${1:-lite,cluster}
offline="--quiet --no-index --no-build-isolation"
rm -rf "$project/build"  # modules that are gone would be installed again from there

if [ ! -d ~/thaw-venv ] && python3 -m pip install $offline --dry-run "$project[$extras]" 2> /dev/null; then
    python3 -m pip install $offline --no-deps --upgrade --target ~/thaw-site "$project"
    path='export PATH=$HOME/thaw-site/bin:$PATH PYTHONPATH=$HOME/thaw-site${PYTHONPATH:+:$PYTHONPATH}'
else
    [ -x ~/thaw-venv/bin/pip ] || python3 -m venv ~/thaw-venv
    ~/thaw-venv/bin/pip install --quiet --constraint "$project/requirements.lock" "$project[$extras]"
    path='export PATH=$HOME/thaw-venv/bin:$PATH'
fi

# Ray would ask for a token on a head where somebody once started Ray by hand, and no other node would have it.
echo "$path RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=\${RAY_AUTH_MODE:-disabled}" >> ~/thaw.env
for file in ~/.bashrc ~/.profile; do
    grep -qs thaw.env "$file" || echo '. ~/thaw.env' >> "$file"
done
