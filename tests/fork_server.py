"""A Python that has surgeon imported and is forked for each isolated call, since starting one takes half a second."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from surgery import isolated
from surgery.isolated import Died


class ForkServer:
    """Does what `surgery.isolated._in_new_python` does, but forks a Python that was started once."""

    def __init__(self) -> None:
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-c", f"from tests.fork_server import answer_calls; answer_calls({other.fileno()})"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
        root = Path(__file__).resolve().parent.parent
        self.process = subprocess.Popen(command, cwd=root, env=environment, pass_fds=[other.fileno()])
        other.close()

    def call(self, call: Any, arguments: tuple[Any, ...]) -> Any:
        """`call(*arguments)` in a fork, with the folder, environment and streams of this process."""
        with tempfile.TemporaryDirectory(prefix="surgeon-") as folder:
            given, answer, notes = (os.path.join(folder, name) for name in ("given", "answer", "notes"))
            with open(given, "wb") as file:
                pickle.dump((os.getcwd(), dict(os.environ), sys.path, call, arguments, answer, notes), file)
            socket.send_fds(self.socket, [given.encode()], [1, 2])
            pid = int(self.socket.recv(64))
            try:
                code = int(self.socket.recv(64))
            except BaseException:
                os.kill(pid, signal.SIGINT)
                self.socket.recv(64)
                raise
            if code < 0:
                raise Died(pid, -code, Path(notes).read_text(encoding="utf-8") if os.path.exists(notes) else "")
            with open(answer, "rb") as file:
                good, value = pickle.load(file)
        if good:
            return value
        raise value

    def close(self) -> None:
        self.socket.close()
        self.process.wait()


def answer_calls(connection: int) -> None:
    """Fork for each call that comes over the socket; end when the tests do."""
    import surgery.api
    import surgery.cli  # noqa: F401
    import verify.api  # noqa: F401

    calls = socket.socket(fileno=connection)
    while True:
        given, streams, _, _ = socket.recv_fds(calls, 4096, 2)
        if not given:
            return
        if not (pid := os.fork()):
            _answer(given.decode(), streams)
        for stream in streams:
            os.close(stream)
        calls.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        calls.send(str(os.waitstatus_to_exitcode(status)).encode())


def _answer(given: str, streams: list[int]) -> None:
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
    with open(given, "rb") as file:
        folder, environment, path, *rest = pickle.load(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    isolated.answer_call(*rest)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
