#!/bin/sh
# Makes a virtual environment with the locked packages and this checkout. usage: install.sh PYTHON VENV LOCK
set -eu
"$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Isocenter needs Python 3.11 or newer: make PYTHON=/path/to/python3.12" >&2; exit 1; }
if ! "$1" -m venv "$2" 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
        "$1" -m venv "$2"
    else
        echo "Python's venv module is missing: install it (Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1
    fi
fi
echo "Installing the packages of $3 into $2 (once; about a minute)"
"$2/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$3"
"$2/bin/pip" install -q --disable-pip-version-check --no-deps -e .
[ -f webui/static/app/index.html ] || echo "The pages were not built (no npm registry?): \`make client\` tries again. Everything else works." >&2
