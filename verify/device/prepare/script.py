"""run.sh: builds and runs every model of a folder with trtexec, in plain POSIX shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from verify.device.manifest import BUILD_LOG, ENGINE, RESULT, RUN_LOG, Manifest, ModelFiles

HEAD = """\
#!/bin/sh
# Builds and runs the models of this folder with trtexec of TensorRT {version}. Needs no Python.
# Run it on the GPU machine, copy the folder back, and let surgeon compare: surgeon verify MODEL --device-run FOLDER
# TRTEXEC=/path/to/trtexec names another one than that on PATH. The engines (*.plan) need not be copied back.

trtexec=${{TRTEXEC:-trtexec}}
command -v "$trtexec" >/dev/null 2>&1 || [ -n "$TRTEXEC" ] || trtexec=/usr/src/tensorrt/bin/trtexec
command -v "$trtexec" >/dev/null 2>&1 || {{
  echo "run.sh: no trtexec at $trtexec; set TRTEXEC to its path" >&2
  exit 4
}}
case $trtexec in
  /*) ;;
  */*) trtexec=$PWD/$trtexec ;;
esac
top=$(cd "$(dirname "$0")" && pwd) || exit 1
failed=0
echo "folder {id}" >"$top/{result}" || exit 1

# step MODEL LOG ARGUMENTS...: run trtexec once, keep all it prints in LOG, and its exit code in {result}
step() {{
  model=$1
  log=$2
  shift 2
  "$trtexec" "$@" >"$log" 2>&1
  code=$?
  echo "$model $log $code $(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$top/{result}"
  [ "$code" -eq 0 ] && return 0
  echo "$model: trtexec failed, see $PWD/$log" >&2
  failed=1
  return 1
}}

# same FILE SHA256: whether the file is still what it was where this folder was made, as far as it can be seen here
same() {{
  command -v sha256sum >/dev/null 2>&1 || return 0
  [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$2" ] && return 0
  echo "$PWD/$1: not the file that was copied here; copy the folder again" >&2
  echo "changed $PWD/$1" >>"$top/{result}"
  failed=1
  return 1
}}
"""
TAIL = """
if [ "$failed" -eq 0 ]; then echo "all ran"; else echo "some failed, see above"; fi
echo "copy the folder back"
exit "$failed"
"""


def script(manifest: Manifest) -> str:
    """The text of run.sh."""
    head = HEAD.format(version=manifest.tensorrt, id=manifest.id, result=RESULT)
    return head + "".join(map(_model, manifest.models)) + TAIL


def _model(model: ModelFiles) -> str:
    """Remove what an earlier run left, check the files, build the engine once, and run it on every case."""
    folder = shlex.quote(model.folder)
    left = " ".join(f"{case.folder}/*.raw {case.folder}/*.json {case.folder}/*.log" for case in model.cases)
    lines = [
        "",
        f'cd "$top"/{folder} || exit 1',
        f"rm -f {ENGINE} {BUILD_LOG} layers.json {left}",
        f'echo "{model.folder}: building the engine, which can take minutes"',
        " && ".join(f"same {shlex.quote(name)} {sha}" for name, sha in model.files.items()) + " &&",
        f"step {folder} {BUILD_LOG} {model.command} && {{",
    ]
    for number, case in enumerate(model.cases, 1):
        lines += [
            f'  echo "{model.folder}: case {number} of {len(model.cases)}"',
            f'  cd "$top"/{folder}/{case.folder} || exit 1',
            *(f"  same {one.file} {one.sha256} &&" for one in case.inputs if one.file),
            f"  step {folder}/{case.folder} {RUN_LOG} {case.command}",
        ]
    return "\n".join([*lines, "}", ""])


def quoted(words: Sequence[str]) -> str:
    """Arguments as a shell reads them."""
    return shlex.join(words)
