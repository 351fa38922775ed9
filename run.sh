#!/usr/bin/env bash
# From nothing to four checked ONNX files: bash run.sh [MODEL_TYPE] [options of `surgeon export`]
#
#   MODEL_TYPE          tiny (default), small, base_plus or large; may also be set in the environment
#   --deepstream DIR    copy the files into a DeepStream tracker folder as well
#
# PYTHON names the interpreter (3.10 or later) and VENV the virtual environment (default .venv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [[ $# -gt 0 && $1 != -* ]]; then
    MODEL_TYPE=$1
    shift
fi
MODEL_TYPE=${MODEL_TYPE:-tiny}
VENV=${VENV:-.venv}

say() { printf 'run.sh: %s\n' "$*" >&2; }
fail() {
    say "$@"
    exit 2
}

case $MODEL_TYPE in
    tiny | small | base_plus | large) ;;
    *) fail "model type '$MODEL_TYPE' is not known; choose tiny, small, base_plus or large" ;;
esac

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.10 or later found; install one, or give its path: PYTHON=/path/to/python3 bash run.sh"
}

make_environment() {
    local python
    python=$(find_python)
    say "making a virtual environment in $VENV with $("$python" --version)"
    "$python" -m venv "$VENV" >/dev/null 2>&1 || "$python" -m virtualenv -q "$VENV" >/dev/null 2>&1 ||
        fail "cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"
}

install() {
    local wanted installed="$VENV/installed"
    wanted=$(cksum pyproject.toml constraints.txt)
    if [[ -f $installed && $(<"$installed") == "$wanted" ]]; then
        return
    fi
    say "installing (torch is large; this is the longest step of the first run)"
    local bar=off
    [[ -t 2 ]] && bar=on
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check --progress-bar "$bar" \
        -c constraints.txt -e '.[export,trt]' || fail "the installation failed; see pip's message above"
    printf '%s' "$wanted" >"$installed"
}

[[ -x $VENV/bin/python ]] || make_environment
install
exec "$VENV/bin/python" -m surgery export "$MODEL_TYPE" --weights auto --check "$@"
