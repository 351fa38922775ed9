"""Addresses of `--ray`: what is no address, and addresses where no cluster answers, in one line and at once."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("PIL")

from tests.export import toy_networks
from tests.export.evaluation.small_dataset import write_davis
from tests.export.evaluation.test_evaluate import run
from verify.errors import MissingBackend, SurgeonError


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[object, ...]:
    toy = toy_networks.write(tmp_path / "toy", prompts=True)
    return write_davis(tmp_path / "davis", 1), "--models", toy, "-o", tmp_path / "out"


@pytest.fixture
def dead() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As on a machine where Ray has started nothing; returns the file that names the cluster it has started."""
    services = pytest.importorskip("ray._private.services")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(services, "find_gcs_addresses", set)
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray" / "ray_current_cluster"


WRONG = ["", "head", "head:", ":6379", "head:port", "head:0", "head:65536", "ray://head", "local", "http://head:6379"]


@pytest.mark.parametrize("address", [*WRONG, "a head:1", "auto:6379x"])
def test_what_is_no_address_is_a_usage_error(address: str, arguments: tuple[object, ...], tmp_path: Path) -> None:
    with pytest.raises(SurgeonError) as refused:
        run(*arguments, "--ray", address)
    assert str(refused.value) == f"--ray {address}: expected HOST:PORT, ray://HOST:PORT or auto"
    assert refused.value.exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_an_address_where_nothing_listens_is_refused_at_once(
    prefix: str, dead: str, arguments: tuple[object, ...]
) -> None:
    pytest.importorskip("ray")
    begin = time.monotonic()
    with pytest.raises(MissingBackend) as refused:
        run(*arguments, "--ray", prefix + dead)
    assert str(refused.value) == f"--ray {prefix + dead}: no Ray cluster answers at {prefix + dead}: Connection refused"
    assert time.monotonic() - begin < 10


def test_a_host_without_an_address_is_refused(arguments: tuple[object, ...]) -> None:
    pytest.importorskip("ray")
    with pytest.raises(MissingBackend, match=r"^--ray no-such-host\.invalid:1: no Ray cluster answers at "):
        run(*arguments, "--ray", "no-such-host.invalid:1")


def test_auto_without_a_cluster_says_how_to_start_one(arguments: tuple[object, ...], no_cluster: Path) -> None:
    with pytest.raises(MissingBackend) as refused:
        run(*arguments, "--ray", "auto")
    assert str(refused.value) == (
        "--ray auto: no Ray cluster runs on this machine and RAY_ADDRESS names none; ray start --head starts one"
    )


def test_auto_with_a_cluster_that_has_ended_is_refused_at_once(
    arguments: tuple[object, ...], no_cluster: Path, dead: str
) -> None:
    no_cluster.write_text(dead)
    begin = time.monotonic()
    port = dead.partition(":")[2]  # Ray replaces this machine's name by its address
    with pytest.raises(MissingBackend, match=rf"^--ray auto: no Ray cluster answers at [\d.]+:{port}: .+$"):
        run(*arguments, "--ray", "auto")
    assert time.monotonic() - begin < 10


def test_auto_follows_the_environment(
    arguments: tuple[object, ...], no_cluster: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"ray://{dead}")
    with pytest.raises(MissingBackend, match=rf"^--ray auto: no Ray cluster answers at ray://{dead}: Conn"):
        run(*arguments, "--ray", "auto")
    monkeypatch.setenv("RAY_ADDRESS", "head")
    with pytest.raises(SurgeonError, match=r"^--ray auto: RAY_ADDRESS is head; expected HOST:PORT or ray://HOST:PORT$"):
        run(*arguments, "--ray", "auto")


def test_a_port_of_something_else_does_not_end_the_process(
    arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray calls sys.exit after two minutes of trying, which a test does not wait for."""
    ray = pytest.importorskip("ray")

    def gives_up(**_: object) -> None:
        sys.exit(15)

    monkeypatch.setattr(ray, "init", gives_up)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(MissingBackend) as refused:
            run(*arguments, "--ray", address)
    assert str(refused.value) == f"--ray {address}: what answers at {address} is no Ray cluster"


def test_ray_that_is_not_installed_is_refused(arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingBackend, match="pip install 'onnx-surgeon\\[cluster\\]'"):
        run(*arguments, "--ray", "auto")
