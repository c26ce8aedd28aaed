#!/bin/sh
# Make the virtual environment named by the first argument, unless it is there and works.
set -eu
venv=$1

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

if is_new_enough "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

# PYTHON=/path/to/python make setup: the choice of the caller comes first.
for name in ${PYTHON:-} python3 python3.15 python3.14 python3.13 python3.12 python3.11; do
    if is_new_enough "$name"; then
        python=$name
        break
    fi
done
[ -n "${python:-}" ] || fail "no Python 3.11 or newer was found" \
    "install one, or name it: \`make setup PYTHON=/path/to/python3\`"
"$python" -c 'import ensurepip, venv' 2>/dev/null || fail \
    "$python cannot make virtual environments: its venv or ensurepip module is missing" \
    "on Debian and Ubuntu: \`apt install python3-venv\`"

echo "making $venv with $("$python" --version)"
"$python" -m venv --clear "$venv"
