"""The stock predictor as the other side, and a Ray cluster of two machines of which one is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL")

from export.evaluation.datasets import open_dataset
from export.evaluation.sides import first_prompts
from tests.export import toy_networks
from tests.export.evaluation.small_dataset import scene, write_davis
from tests.export.evaluation.test_evaluate import numbers, run


def test_the_stock_stream_is_what_its_predictor_gives(tmp_path: Path, thin_model: object) -> None:
    from export.stock import predictor, stream

    video = open_dataset(write_davis(tmp_path / "davis", 1, frames=17)).videos[0]
    schedule = first_prompts(video, "mask")
    assert np.array_equal(schedule[0][2].mask, scene(0, 0)[1][2])
    model, folder = thin_model(), video.frames[0].parent
    streamed = list(stream.stream(model, folder, schedule, len(video.frames)))
    stored = predictor.track(model, folder, schedule, len(video.frames))
    assert [frame for frame, _ in streamed] == list(range(17))
    for frame, logits in streamed:
        for object_id in (1, 2):
            assert np.array_equal(logits[object_id], stored[frame][object_id].video_logits)


@pytest.fixture
def cluster() -> Iterator[tuple[str, list[int]]]:
    """A Ray cluster of two nodes with one CPU each: its address, and the processes that were started for it."""
    pytest.importorskip("ray")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    limits = ["--block", "--num-cpus", "1", "--object-store-memory", "100000000", "--disable-usage-stats"]
    ray = [str(Path(sys.executable).with_name("ray")), "start", *limits]
    head = [*ray, "--head", "--port", address.partition(":")[2], "--include-dashboard", "false"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ExitStack() as stack:
        nodes = []
        for command in (head, [*ray, "--address", address]):
            node = subprocess.Popen(command, **quiet)
            stack.callback(node.wait, 30)
            stack.callback(node.terminate)
            nodes.append(node.pid)
            _wait_for(address)
        yield address, nodes


def _wait_for(address: str) -> None:
    host, _, port = address.partition(":")
    for _ in range(300):
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.2)
    raise AssertionError(f"no Ray at {address}")


def _descendants(ancestors: list[int]) -> dict[int, str]:
    """The processes below `ancestors` by id, with their command lines."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    rows = [(int(pid), int(parent), args) for pid, parent, args in (x.split(maxsplit=2) for x in listed.splitlines())]
    below: dict[int, str] = {}
    while added := {p: args for p, parent, args in rows if parent in {*ancestors, *below} and p not in below}:
        below.update(added)
    return below


@pytest.mark.slow
def test_a_cluster_finds_the_same_numbers_when_a_worker_is_killed(
    cluster: tuple[str, list[int]], tmp_path: Path
) -> None:
    address, nodes = cluster
    davis = write_davis(tmp_path / "davis", 6)
    toy = toy_networks.write(tmp_path / "toy", prompts=True)
    run(davis, "--models", toy, "-o", tmp_path / "one")
    killed: list[int] = []

    def kill_one() -> None:
        while not killed:
            for process, arguments in _descendants(nodes).items():
                if arguments.startswith("ray::evaluate_video"):
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
                    return
            time.sleep(0.01)

    threading.Thread(target=kill_one, daemon=True).start()
    code, output = run(davis, "--models", toy, "--ray", address, "-o", tmp_path / "ray")
    assert killed
    assert (code, "not evaluated" in output) == (0, False)
    assert numbers(tmp_path / "ray") == numbers(tmp_path / "one")
    assert run(davis, "--models", toy, "--workers", 2, "-o", tmp_path / "two")[0] == 0
    assert numbers(tmp_path / "two") == numbers(tmp_path / "one")
