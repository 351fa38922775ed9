"""Runs the emulator of trtexec in processes that need not import onnxruntime: they are forked from one that has.

`python emulator_server.py SOCKET` serves until it is ended. `client` is the text of a program `trtexec` that asks it.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path

EMULATOR = Path(__file__).with_name("trtexec_emulator.py")
CLIENT = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({path!r})
    request = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode() + b"\\n"
    socket.send_fds(asked, [request], [1, 2])
    sys.exit(int(asked.recv(16) or 137))
"""


def client(path: str) -> str:
    """A program that takes the arguments of trtexec and has the server at `path` run the emulator."""
    return CLIENT.format(python=sys.executable, path=path)


def serve(path: str) -> None:
    import ml_dtypes  # noqa: F401
    import numpy  # noqa: F401
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while True:
            asked, _ = listening.accept()
            if os.fork() == 0:
                answer(asked)
            asked.close()


def answer(asked: socket.socket) -> None:
    """Become one run of trtexec, in the folder, with the variables and the two streams of who asked."""
    request, streams, _, _ = socket.recv_fds(asked, 1 << 20, 2)
    sys.argv, folder, variables = json.loads(request)
    os.dup2(streams[0], 1)
    os.dup2(streams[1], 2)
    os.chdir(folder)
    os.environ.update(variables)
    code: object = 1
    try:
        runpy.run_path(str(EMULATOR), run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    asked.sendall(str(code).encode())
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
