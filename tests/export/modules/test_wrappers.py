"""Each wrapper against stock SAM2, branch by branch, on small images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from export.modules.image_encoder import Windows  # noqa: E402
from export.modules.layers import attend, attend_in_parts  # noqa: E402
from export.modules.mask_decoder import NO_OBJ_SCORE, MaskDecoder  # noqa: E402
from export.modules.wrap import wrap  # noqa: E402
from export.onnx_file.to_onnx import example_inputs  # noqa: E402
from export.stock.modules import run_stock  # noqa: E402
from verify.errors import SurgeonError  # noqa: E402
from verify.interface.spec import load_spec  # noqa: E402

Build = Callable[..., Any]
MODULES = ("image_encoder", "mask_decoder", "memory_attention", "memory_encoder")


def both(
    name: str, model: Any, inputs: dict[str, Any], semantics: str = "sam2", target: str = "tensorrt"
) -> tuple[Any, Any]:
    wanted = run_stock(name, model, inputs, semantics)
    with torch.inference_mode():
        got = wrap(name, model, semantics, target)(**inputs)
    got = got if isinstance(got, tuple) else (got,)
    return dict(zip(wanted, got, strict=True)), wanted


def same(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        assert got[name].shape == value.shape, name
        error = (got[name] - value).abs().max() / value.square().mean().sqrt()
        assert float(error) < 1e-4, (name, float(error))


def inputs_of(name: str, size: int = 128, **symbols: int) -> dict[str, Any]:
    return example_inputs(load_spec(image_size=size, batch="dynamic")[name], **symbols)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("version", ["2.1", "2.0"])
@pytest.mark.parametrize("semantics", ["sam2", "masktracker"])
def test_equal_to_stock(thin_model: Build, name: str, version: str, semantics: str) -> None:
    same(*both(name, thin_model(version), inputs_of(name), semantics))


@pytest.mark.parametrize("size", [64, 96, 160, 256])
def test_image_sizes(thin_model: Build, size: int) -> None:
    """96 and 160 leave windows of 14 that stick out of the map, before and after pooling."""
    same(*both("image_encoder", thin_model(size=size), inputs_of("image_encoder", size)))


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx", "onnxruntime"])
@pytest.mark.parametrize(("frames", "pointers", "objects"), [(1, 1, 1), (3, 16, 1), (7, 2, 3)])
def test_memory_sizes(thin_model: Build, target: str, frames: int, pointers: int, objects: int) -> None:
    inputs = inputs_of("memory_attention", frames=frames, pointers=pointers, objects=objects)
    same(*both("memory_attention", thin_model(), inputs, target=target))


@pytest.mark.parametrize(
    ("target", "precision", "hoisted"),
    [
        ("tensorrt-rtx", "fp32", True),
        ("tensorrt-rtx", "mixed", False),
        ("tensorrt", "fp32", False),
        ("onnxruntime", "fp32", True),
    ],
)
def test_values_are_projected_first_where_that_can_be_fused(
    thin_model: Build, target: str, precision: str, hoisted: bool
) -> None:
    """DeepStream lowers a float32 file to half precision while full TensorRT builds it."""
    module: Any = wrap("memory_attention", thin_model(), "sam2", target, precision)
    assert {layer.cross_attention.hoist for layer in module.layers} == {hoisted}


def test_queries_go_over_the_memory_in_parts_for_onnxruntime(
    thin_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map of 32x32 tokens: two parts of 512 in each of the two layers."""
    rows = []

    def spy(query: Any, key: Any, value: Any) -> Any:
        rows.append(query.shape[-2])
        return attend(query, key, value)

    monkeypatch.setattr("export.modules.layers.attend", spy)
    model, inputs = thin_model(size=512), inputs_of("memory_attention", size=512, frames=2, pointers=3)
    same(*both("memory_attention", model, inputs, target="onnxruntime"))
    assert rows == [512] * 4
    rows.clear()
    both("memory_attention", model, inputs, target="tensorrt")
    assert not rows


@pytest.mark.parametrize("rows", [1, 3, 7, 8])
def test_attention_in_parts(rows: int) -> None:
    """7 queries: in parts of one, with a rest, in one part."""
    query, key, value = torch.randn(2, 7, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 3)
    torch.testing.assert_close(attend_in_parts(query, key, value, rows), attend(query, key, value))


def test_pointer_positions_replace_the_given_ones(thin_model: Build) -> None:
    """The rows of memory_pos_embed behind the spatial ones are computed in the graph, as MaskTracker expects."""
    inputs = inputs_of("memory_attention", frames=1, pointers=2)
    changed = {**inputs, "memory_pos_embed": inputs["memory_pos_embed"].clone()}
    changed["memory_pos_embed"][:, 64:] += 3.0
    module = wrap("memory_attention", thin_model())
    with torch.inference_mode():
        assert torch.equal(module(**inputs), module(**changed))
        other = module(**{**inputs, "cond_frame_id_diff": torch.tensor(9.0)})
    assert not torch.equal(module(**inputs), other)


@pytest.mark.parametrize(
    "labels", [[-1.0], [1.0], [0.0], [2.0, 3.0], [2.0, 3.0, 1.0, 0.0], [1.0, -1.0, -1.0], [-1.0, -1.0]]
)
def test_prompts(thin_model: Build, labels: list[float]) -> None:
    inputs = inputs_of("mask_decoder", objects=2, points=len(labels))
    inputs["point_labels"] = torch.tensor([labels, labels])
    got, wanted = both("mask_decoder", thin_model(), inputs)
    same(got, wanted)
    prompted = any(label != -1 for label in labels)
    binary = bool(((wanted["mask_for_mem"].abs() - 10).abs() == 0).all())
    assert binary == prompted


def decoder_inputs(labels: list[float]) -> dict[str, Any]:
    inputs = inputs_of("mask_decoder", objects=1, points=len(labels))
    inputs["point_labels"] = torch.tensor([labels])
    return inputs


def changed(model: Any, **parameters: Any) -> Any:
    """A context in which entries of the model's state dict have other values."""
    from contextlib import contextmanager

    @contextmanager
    def scope() -> Any:
        state = model.state_dict()
        before = {name: state[name].clone() for name in parameters}
        with torch.no_grad():
            for name, value in parameters.items():
                state[name].copy_(value)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in before.items():
                    state[name].copy_(value)

    return scope()


@pytest.mark.parametrize("version", ["2.1", "2.0"])
def test_an_absent_object(thin_model: Build, version: str) -> None:
    model = thin_model(version)
    with changed(model, **{"sam_mask_decoder.pred_obj_score_head.layers.2.bias": torch.tensor([-50.0])}):
        got, wanted = both("mask_decoder", model, decoder_inputs([2.0, 3.0]))
    same(got, wanted)
    assert bool((got["pred_mask"] == NO_OBJ_SCORE).all())
    torch.testing.assert_close(got["obj_ptr"], model.no_obj_ptr.detach())
    hidden = inputs_of("memory_encoder", objects=2)
    hidden["occ_logit"] = torch.tensor([[-3.0], [0.0]])
    same(*both("memory_encoder", model, hidden))


def test_an_unstable_single_mask_falls_back(thin_model: Build) -> None:
    """With the threshold above one every single mask is unstable: best mask and score, but the single mask's token."""
    model = thin_model()
    stable, _ = both("mask_decoder", model, decoder_inputs([2.0, 3.0]))
    decoder = model.sam_mask_decoder
    before = decoder.dynamic_multimask_stability_thresh
    decoder.dynamic_multimask_stability_thresh = 1.5
    try:
        got, wanted = both("mask_decoder", model, decoder_inputs([2.0, 3.0]))
    finally:
        decoder.dynamic_multimask_stability_thresh = before
    same(got, wanted)
    assert not torch.allclose(got["pred_mask"], stable["pred_mask"])
    torch.testing.assert_close(got["obj_ptr"], stable["obj_ptr"])


def test_an_empty_mask_is_stable(thin_model: Build) -> None:
    decoder = MaskDecoder(thin_model(), "sam2")
    empty, edge = torch.full((1, 1, 100), -5.0), torch.tensor([[[0.01] * 50 + [5.0] * 50]])
    assert float(decoder._stability(empty)) == 1.0
    assert float(decoder._stability(edge)) == 0.5


def test_objects_choose_for_themselves(thin_model: Build) -> None:
    """One batch with a box, a click and no prompt: every object as if it were alone, padding aside."""
    inputs = inputs_of("mask_decoder", objects=3, points=2)
    inputs["point_labels"] = torch.tensor([[2.0, 3.0], [1.0, -1.0], [-1.0, -1.0]])
    got, wanted = both("mask_decoder", thin_model(), inputs)
    same(got, wanted)


def test_masktracker_scales_twice(thin_model: Build) -> None:
    inputs = inputs_of("memory_encoder", objects=1)
    once, _ = both("memory_encoder", thin_model(), inputs)
    twice, wanted = both("memory_encoder", thin_model(), inputs, "masktracker")
    same(twice, wanted)
    assert not torch.allclose(once["maskmem_features"], twice["maskmem_features"])


@pytest.mark.parametrize(("size", "window"), [(8, 4), (6, 4), (5, 0), (16, 14)])
def test_windows_split_and_join(size: int, window: int) -> None:
    windows = Windows(size, window)
    x = torch.randn(size * size, 12)
    (parts,) = windows.split(windows.pad(x), 1, 3)
    assert parts.shape == (windows.count**2 * 3, windows.window**2, 4)
    assert torch.equal(windows.join(parts, 3), x)


def test_unknown_choices(thin_model: Build) -> None:
    for arguments, said in (
        (("head", "sam2", "tensorrt"), "choose image_encoder"),
        (("mask_decoder", "sam3", "tensorrt"), "choose sam2 or masktracker"),
        (("mask_decoder", "sam2", "tvm"), "choose tensorrt-rtx"),
    ):
        name, semantics, target = arguments
        with pytest.raises(SurgeonError, match=said):
            wrap(name, thin_model(), semantics, target)


def test_a_configuration_without_these_branches_is_refused(thin_model: Build) -> None:
    model = thin_model()
    model.soft_no_obj_ptr = True
    try:
        with pytest.raises(SurgeonError, match="soft_no_obj_ptr=True"):
            MaskDecoder(model, "sam2")
    finally:
        model.soft_no_obj_ptr = False
