"""Videos on an existing Ray cluster: one task a video, results as they come."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Sequence

from export.evaluation.video import Task, evaluate_video
from export.evaluation.workers import LostWorker, Outcome
from verify.errors import MissingBackend, SurgeonError

CONNECT_SECONDS = 5.0
AUTO = "auto"


def on_ray(tasks: Sequence[Task], address: str) -> Iterator[Outcome]:
    """Each video as a task that takes as many CPUs as it has threads.

    The machines of the cluster see the models and the data set at the same paths as this one, and have the same
    version of surgeon installed. Raises MissingBackend without Ray and where there is no cluster at `address`.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingBackend("--ray needs Ray; pip install 'onnx-surgeon[cluster]'") from error
    found = _found_here() if address == AUTO else address
    _check_answers(address, found)
    try:
        ray.init(address=found, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise MissingBackend(f"--ray {address}: no Ray cluster answers at {found}: {reason}") from error
    except SystemExit as error:  # how Ray ends the process where something else listens at the port
        raise MissingBackend(f"--ray {address}: what answers at {found} is no Ray cluster") from error
    try:
        # Not retried by Ray: the caller decides, and a video that kills its worker is not tried without end.
        remote = ray.remote(max_retries=0)(evaluate_video)
        running = {remote.options(num_cpus=max(task.threads, 1)).remote(task): task for task in tasks}
        while running:
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            task = running.pop(done)
            try:
                yield task, ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[0]
                yield task, LostWorker(f"video {task.video.name}: its worker was lost ({reason})")
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """SurgeonError unless `address` is HOST:PORT, ray://HOST:PORT or auto."""
    if address != AUTO and _host_and_port(address) is None:
        raise SurgeonError(f"--ray {address}: expected HOST:PORT, ray://HOST:PORT or {AUTO}")


def _host_and_port(address: str) -> tuple[str, int] | None:
    match = re.fullmatch(r"(?:ray://)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", address)
    port = int(match[2]) if match else 0
    return (match[1].strip("[]"), port) if match and 0 < port < 1 << 16 else None


def _found_here() -> str:
    """The address that RAY_ADDRESS names, or that of the cluster which was started on this machine."""
    from ray._private.services import canonicalize_bootstrap_address

    if given := os.environ.get("RAY_ADDRESS"):
        if _host_and_port(given) is None:
            raise SurgeonError(f"--ray {AUTO}: RAY_ADDRESS is {given}; expected HOST:PORT or ray://HOST:PORT")
        return given
    try:
        return str(canonicalize_bootstrap_address(AUTO))
    except (ConnectionError, ValueError) as error:
        none = "no Ray cluster runs on this machine and RAY_ADDRESS names none"
        raise MissingBackend(f"--ray {AUTO}: {none}; ray start --head starts one") from error


def _check_answers(given: str, address: str) -> None:
    """MissingBackend where nothing listens at `address`; Ray itself would try again for two minutes."""
    place = _host_and_port(address)
    assert place is not None
    try:
        socket.create_connection(place, CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        raise MissingBackend(f"--ray {given}: no Ray cluster answers at {address}: {reason}") from error
