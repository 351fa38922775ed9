"""Videos on an existing Ray cluster: one task a video, results as they come."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from export.evaluation.video import Task, evaluate_video
from export.evaluation.workers import LostWorker, Outcome
from verify.errors import MissingBackend

CONNECT_SECONDS = 5.0


def on_ray(tasks: Sequence[Task], address: str) -> Iterator[Outcome]:
    """Each video as a task that takes as many CPUs as it has threads.

    The machines of the cluster see the models and the data set at the same paths as this one, and have the same
    version of surgeon installed. Raises MissingBackend without Ray and where there is no cluster at `address`.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingBackend("--ray needs Ray; pip install 'onnx-surgeon[cluster]'") from error
    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise MissingBackend(f"--ray {address}: no Ray cluster answers there: {str(error).splitlines()[0]}") from error
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


def _check_answers(address: str) -> None:
    """MissingBackend where nothing listens at HOST:PORT; Ray itself would try again for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # "auto", which Ray looks up on this machine
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise MissingBackend(f"--ray {address}: no Ray cluster answers there: {error}") from error
