"""Checkpoints as people have them: the same weights out of every layout, and one clear line for what holds none."""

from __future__ import annotations

from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from export.weights.checkpoints import checkpoint, load  # noqa: E402
from export.weights.layouts import LANDMARK, read_state  # noqa: E402
from verify.errors import SurgeonError  # noqa: E402

Build = Callable[..., Any]
Tensors = dict[str, Any]


def prefixed(tensors: Tensors, prefix: str) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def training_run(tensors: Tensors) -> Tensors:
    optimizer = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": np.float64(1e-4), "params": [0]}]}
    numbers = {"epoch": 3, "steps": np.int64(7), "best": np.float32(0.5), "done": np.bool_(True)}
    return {"model": tensors, "optimizer": optimizer, **numbers, "losses": {"all": [np.float64(0.25)]}}


LAYOUTS: dict[str, Callable[[Tensors], Any]] = {
    "official": lambda tensors: {"model": tensors},
    "training run with NumPy scalars": training_run,
    "plain": lambda tensors: tensors,
    "ordered": OrderedDict,
    "Lightning": lambda tensors: {
        "state_dict": {**prefixed(tensors, "model."), "loss.weight": torch.ones(1)},
        "pytorch-lightning_version": "2.5",
    },
    "distributed": lambda tensors: prefixed(tensors, "module."),
    "distributed training run": lambda tensors: {"model": prefixed(tensors, "module."), "epoch": 1},
    "Lightning and distributed": lambda tensors: {"state_dict": prefixed(tensors, "model.module.")},
    "nested": lambda tensors: {"checkpoint": {"weights": tensors}},
    "parameters": lambda tensors: {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()},
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("zipped", [True, False])
def test_the_same_weights_out_of_every_layout(thin_model: Build, tmp_path: Path, name: str, zipped: bool) -> None:
    tensors, path = dict(thin_model().state_dict()), tmp_path / "file.pt"
    torch.save(LAYOUTS[name](tensors), path, _use_new_zipfile_serialization=zipped)
    found = read_state(path).tensors
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[key], value) for key, value in tensors.items())


@pytest.mark.parametrize("prefix", ["", "model."])
def test_safetensors(thin_model: Build, tmp_path: Path, prefix: str) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    tensors, path = dict(thin_model().state_dict()), tmp_path / "file.safetensors"
    safetensors.save_file(prefixed({k: v.clone().contiguous() for k, v in tensors.items()}, prefix), path)
    found = read_state(path).tensors
    assert all(torch.equal(found[key], value) for key, value in tensors.items())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SurgeonError, match=r"file\.safetensors: not a whole safetensors file"):
        read_state(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_loaded_into_float32(thin_model: Build, tmp_path: Path, dtype: Any) -> None:
    model, path = thin_model(), tmp_path / "file.pt"
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save({"model": {name: tensor.to(dtype) for name, tensor in before.items()}}, path)
    try:
        load(model, path, checkpoint("tiny"), trust=True)
        for name, tensor in model.state_dict().items():
            assert tensor.dtype == torch.float32
            assert torch.equal(tensor, before[name].to(dtype).float())
    finally:
        model.load_state_dict(before)


def trunk(width: int, blocks: int, **more: Any) -> Tensors:
    names = {f"image_encoder.trunk.blocks.{index}.norm1.weight": torch.zeros(1) for index in range(blocks)}
    return {LANDMARK: torch.zeros(width, 3, 7, 7), **names, **more}


@pytest.mark.parametrize(
    ("width", "blocks", "model_type"),
    [(96, 12, "tiny"), (96, 16, "small"), (112, 24, "base_plus"), (144, 48, "large"), (16, 8, "")],
)
def test_model_type_and_version_are_read_from_the_tensors(
    tmp_path: Path, width: int, blocks: int, model_type: str
) -> None:
    path = tmp_path / "file.pt"
    torch.save(trunk(width, blocks), path)
    state = read_state(path)
    assert (state.model_type, state.version) == (model_type, "2.0")
    torch.save(trunk(width, blocks, no_obj_embed_spatial=torch.zeros(1)), path)
    assert read_state(path).version == "2.1"


def test_another_model_type_is_named(thin_model: Build, tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save(trunk(144, 48), path)
    with pytest.raises(
        SurgeonError, match=r"of SAM2\.0 large, not of SAM2\.1 tiny; use surgeon export large --version 2"
    ):
        load(thin_model(), path, checkpoint("tiny"), trust=True)


def without_one(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name != "no_mem_embed"}


def with_another_shape(tensors: Tensors) -> Tensors:
    return {**tensors, "no_mem_embed": torch.zeros(1, 1, 8)}


WRONG: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "two models": (
        lambda tensors: {"model": tensors, "ema": tensors},
        "holds SAM2 weights 2 times",
    ),
    "student and teacher": (
        lambda tensors: {**prefixed(tensors, "student."), **prefixed(tensors, "teacher.")},
        r"2 times \(prefixes 'student.', 'teacher.'\)",
    ),
    "transformers": (
        lambda tensors: {"vision_encoder.backbone.patch_embed.projection.weight": torch.zeros(1)},
        "layout of the transformers library",
    ),
    "another network": (lambda tensors: {"conv1.weight": torch.zeros(1)}, "it has 1 tensor, such as conv1.weight"),
    "no tensors": (lambda tensors: {"epoch": 1, "lr": 0.1}, "it is a dict with the keys epoch, lr without tensors"),
    "a list": (lambda tensors: [1, 2], "it is a list without tensors"),
    "a class of the training code": (
        lambda tensors: {"model": tensors, "args": Namespace(lr=1)},
        r"it holds argparse\.Namespace, which is code and not run; save the weights alone",
    ),
    "a tensor is missing": (without_one, r"1 tensor missing, 0 unknown \(first: no_mem_embed\)"),
    "another shape": (with_another_shape, r"tensor no_mem_embed is \[1, 1, 8\], not \[1, 1, 256\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_files_without_the_weights_of_this_model(thin_model: Build, tmp_path: Path, name: str) -> None:
    model, path = thin_model(), tmp_path / "file.pt"
    make, said = WRONG[name]
    torch.save(make(dict(model.state_dict())), path)
    with pytest.raises(SurgeonError, match=said) as caught:
        load(model, path, checkpoint("tiny"), trust=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as a checkpoint: it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS and not the file"),
        (b"weights", "neither a file of torch.save nor safetensors"),
        (b"\x80\x02K\x01.", "cannot be read as a checkpoint: Invalid magic number"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with pytest.raises(SurgeonError, match=rf"file\.pt .*{said}"):
        read_state(path)
