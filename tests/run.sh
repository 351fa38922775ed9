#!/usr/bin/env bash
# Install what the tests need into a virtual environment of their own, then run the whole gate.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${SURGEON_TEST_VENV:-.venv/test}"
python="${PYTHON:-python3}"
if [ ! -x "$venv/bin/python" ]; then
  "$python" -m venv "$venv"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.*"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[export,trt,dev]'
export PATH="$PWD/$venv/bin:$PATH"
ruff check .
ruff format --check .
mypy
lint-imports
pytest -n "${SURGEON_TEST_JOBS:-2}" "$@"
