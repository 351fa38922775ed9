"""The interface as data: the documented tables, sizes, batch modes, profiles, and other spec files."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import onnx.parser
import pytest

from verify.errors import SurgeonError
from verify.inputs.seeded import KINDS
from verify.interface.recognise import read_metadata, recognise, write_metadata
from verify.interface.spec import Spec, load_spec
from verify.interface.spec_values import DTYPES, VALUES
from verify.interface.tables import render_table, render_tables
from verify.model.expressions import evaluate

DOCUMENTED = """\
### Memory Attention
| Index | Type | Name | Size | Description |
|-------|------|------|------|-------------|
| 0 | Input | current_vision_feat | [1, 256, 64, 64] | Current frame vision features |
| 1 | Input | current_vision_pos_embed | [4096, 1, 256] | Current frame positional embeddings |
| 2 | Input | memory_0 | [1, -1, 256] | Memory bank features (dynamic) |
| 3 | Input | memory_1 | [1, -1, 64, 64, 64] | Memory bank spatial features (dynamic) |
| 4 | Input | memory_pos_embed | [1, -1, 64] | Memory positional embeddings (dynamic) |
| 5 | Input | cond_frame_id_diff | [] | Conditional frame ID difference (scalar) |
| 6 | Output | image_embed | [1, 256, 64, 64] | Enhanced image embeddings |"""

DOCUMENTED_DIMS = {
    "image": "[1, 3, 1024, 1024]",
    "high_res_feat0": "[1, 32, 256, 256]",
    "high_res_feat1": "[1, 64, 128, 128]",
    "vision_pos_embed": "[4096, 1, 256]",
    "point_coords": "[-1, -1, 2]",
    "point_labels": "[-1, -1]",
    "image_embed": "[-1, 256, 64, 64]",
    "mask_for_mem": "[-1, 1, 1024, 1024]",
    "pred_mask": "[-1, 1, 256, 256]",
    "iou": "[-1, 1]",
    "maskmem_pos_enc": "[1, 4096, 64]",
    "temporal_code": "[7, 1, 1, 64]",
}

OTHER_MODEL = """\
name = "other"
[sizes]
width = 8
[symbols]
rows = [1, 2, 9]
[modules.head]
inputs = [{ name = "x", dims = ["rows", "width * 2"], dtype = "int64" }]
outputs = [{ name = "y", dims = ["rows"] }]
"""


def attention(**options: int | str) -> Spec:
    return load_spec("sam2", **options)["memory_attention"]  # type: ignore[arg-type]


def test_tables_read_as_documented() -> None:
    text = render_tables(load_spec())
    assert DOCUMENTED in text
    for name, size in DOCUMENTED_DIMS.items():
        assert f"| {name} | {size} |" in text


def test_module_order_and_files() -> None:
    assert {s.module: s.file for s in load_spec().modules.values()} == {
        name: f"{name}.onnx"
        for name in ("image_encoder", "mask_decoder", "memory_attention", "memory_encoder", "mask_decoder_prompts")
    }


@pytest.mark.parametrize(("size", "tokens"), [(1024, 4096), (512, 1024), (256, 256)])
def test_profiles_keep_the_memory_relation(size: int, tokens: int) -> None:
    profiles = attention(image_size=size).profiles()
    for frames, pointers, at in ((1, 1, "min"), (7, 16, "opt"), (7, 16, "max")):
        assert getattr(profiles["memory_1"], at)[1] == frames
        assert getattr(profiles["memory_0"], at)[1] == pointers
        assert getattr(profiles["memory_pos_embed"], at) == (1, tokens * frames + 4 * pointers, 64)


def test_image_size_moves_every_spatial_dim() -> None:
    decoder = load_spec(image_size=512)["mask_decoder"]
    assert decoder.port("mask_for_mem").dims == ("objects", 1, 512, 512)
    assert decoder.port("pred_mask").dims == ("objects", 1, 128, 128)
    assert decoder.port("high_res_feats_1").dims == (1, 64, 64, 64)
    assert attention(image_size=512).port("memory_1").dims == (1, "frames", 64, 32, 32)


def test_dynamic_batch_frees_the_memory_modules() -> None:
    spec = attention(batch="dynamic")
    assert spec.port("memory_0").dims[0] == spec.port("image_embed").dims[0] == "objects"
    assert spec.port("current_vision_feat").dims[0] == 1
    assert spec.profiles()["memory_pos_embed"].max == (20, 28736, 64)
    assert load_spec(batch="dynamic")["memory_encoder"].port("occ_logit").dims == ("objects", 1)


def test_fixed_batch_fixes_every_module() -> None:
    spec_file = load_spec(batch=5)
    assert spec_file["memory_attention"].port("memory_0").dims == (5, "pointers", 256)
    assert spec_file["mask_decoder"].port("iou").dims == (5, 1)


def test_shapes_follow_the_symbols() -> None:
    shapes = attention().shapes(frames=3, pointers=2)
    assert shapes["memory_pos_embed"] == (1, 3 * 4096 + 8, 64)
    assert shapes["cond_frame_id_diff"] == ()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: load_spec("sam3"), "choose sam2"),
        (lambda: load_spec(batch="many"), "whole number"),
        (lambda: load_spec(batch=0), "whole number"),
        (lambda: load_spec()["backbone"], "choose image_encoder"),
        (lambda: attention().port("memory_2"), "it has current_vision_feat"),
        (lambda: load_spec("/nowhere/x.toml"), "cannot read"),
        (lambda: evaluate("__import__('os')", {}), "only whole numbers"),
        (lambda: evaluate("a + b", {"a": 1}), "'b' is not known"),
    ],
)
def test_errors_say_what_to_choose(call: object, said: str) -> None:
    with pytest.raises(SurgeonError, match=said):
        call()  # type: ignore[operator]


def test_other_models_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(OTHER_MODEL)
    head = load_spec(path)["head"]
    assert head.file == "head.onnx"
    assert head.port("x").dtype == "int64"
    assert head.profiles()["x"].max == (9, 16)
    assert "| 1 | Output | y | [-1] |  |" in render_table(head)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("width * 2", "height", "head.x: dim 'height'"),
        ("[symbols]", "[symbols", "not valid TOML"),
        ("name =", "n =", "needs a `name`"),
    ],
)
def test_a_wrong_spec_file_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "other.toml"
    path.write_text(OTHER_MODEL.replace(old, new, 1))
    with pytest.raises(SurgeonError, match=said):
        load_spec(path)


def model_like(spec: Spec, names: dict[str, str] | None = None) -> onnx.ModelProto:
    """A model with the spec's inputs and outputs (renamed by `names`) and no nodes."""

    def infos(ports: tuple[object, ...]) -> list[onnx.ValueInfoProto]:
        return [
            onnx.helper.make_tensor_value_info((names or {}).get(p.name, p.name), 1, list(p.dims))  # type: ignore[attr-defined]
            for p in ports
        ]

    graph = onnx.helper.make_graph([], "g", infos(spec.inputs), infos(spec.outputs))
    return onnx.helper.make_model(graph)


def test_metadata_decide_first() -> None:
    model = model_like(load_spec()["image_encoder"])
    write_metadata(model, {"module": "mask_decoder", "image_size": "512", "batch": "dynamic"})
    found = recognise(model, "memory_encoder.onnx")
    assert found is not None
    assert found.module == "mask_decoder"
    assert found.port("mask_for_mem").dims[-1] == 512
    assert read_metadata(model)["batch"] == "dynamic"


def test_metadata_of_others_stay() -> None:
    model = model_like(load_spec()["image_encoder"])
    model.metadata_props.add(key="author", value="someone")
    write_metadata(model, {"module": "image_encoder"})
    assert {p.key: p.value for p in model.metadata_props} == {"author": "someone", "surgeon.module": "image_encoder"}


def test_file_name_decides_next_and_names_last() -> None:
    model = model_like(load_spec()["memory_encoder"])
    assert recognise(model, "some/mask_decoder.onnx").module == "mask_decoder"  # type: ignore[union-attr]
    assert recognise(model, "x.onnx").module == "memory_encoder"  # type: ignore[union-attr]
    half = model_like(load_spec()["memory_encoder"], {"mask_for_mem": "a", "pix_feat": "b", "occ_logit": "c"})
    assert recognise(half, "x.onnx") is None


@pytest.mark.parametrize("size", [256, 512, 1024])
@pytest.mark.parametrize("batch", [1, 3, "dynamic"])
def test_size_and_batch_are_read_from_the_model(size: int, batch: int | str) -> None:
    for spec in load_spec(image_size=size, batch=batch).modules.values():
        if spec.module.startswith("memory"):
            assert recognise(model_like(spec)) == spec


def test_prompted_frames_widen_the_profile_of_the_memory() -> None:
    attention = load_spec(prompted_frames=3)["memory_attention"].profiles()
    assert (attention["memory_1"].opt[1], attention["memory_1"].max[1]) == (7, 9)
    assert (attention["memory_0"].opt[1], attention["memory_0"].max[1]) == (16, 18)
    assert attention["memory_pos_embed"].max[1] == 9 * 4096 + 4 * 18
    with pytest.raises(SurgeonError, match="prompted frames is 0; give a whole number from 1 up"):
        load_spec(prompted_frames=0)


def test_prompted_frames_of_a_spec_without_them_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\n[modules.m]\ninputs = []\noutputs = []\n')
    with pytest.raises(SurgeonError, match="no size `prompted`"):
        load_spec(path, prompted_frames=2)


SMALL = """name = "own"
[symbols]
rows = [1, 2, 4]
[golden]
m = [{ rows = 3, x = 1.0 }]
[modules.m]
inputs = [{ name = "x", dims = ["rows", 3], values = "normal" }]
outputs = [{ name = "y", dims = ["rows", 3] }]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'values = "normal"',
            'values = "norm"',
            "inputs: x: no kind of values 'norm'; choose normal, uniform",
        ),
        ("values =", "value =", "[modules.m] inputs: x: no key 'value'; choose name, dims, description, dtype, values"),
        ("rows = 3", "row = 3", "[golden] m: no symbol or input 'row'; choose rows, x"),
        ("m = [{", "n = [{", "[golden]: no module 'n'; choose m"),
        ("m = [{ rows = 3, x = 1.0 }]", "m = 3", "[golden] m is 3; give [{ symbol = size, input = constant }, ...]"),
        ("m = [{ rows = 3, x = 1.0 }]", "m = [3]", "[golden] m is [3]; give [{ symbol"),
        ("[golden]", "[goldens]", "the file: no table 'goldens'; choose name, sizes, symbols"),
        ("[modules.m]", "[modules.m]\nfiles = 'm.onnx'", "[modules.m]: no key 'files'; choose title, file, optional"),
        ('"rows", 3] }', '"rows", 3], dtype = "flot32" }', "[modules.m] outputs: y: no dtype 'flot32'; choose float32"),
        (
            '"rows", 3] }',
            '"rows", 3], values = "mask" }',
            "y: values says what an input holds; an output has none",
        ),
        ('name = "y"', 'name = "x"', "[modules.m] outputs: x: two inputs or outputs of the module have this name"),
        ('name = "y"', 'name = " "', "[modules.m] outputs:  : name is ' '; give a text that is not empty"),
        ('name = "y", ', "", "[modules.m] outputs: a port without a name lacks 'name'"),
        ('"y", dims = ["rows", 3]', '"y"', "[modules.m] outputs: y lacks 'dims'"),
    ],
)
def test_names_that_name_nothing_are_an_error(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SMALL)
    assert load_spec(path)["m"].ranges["rows"] == (1, 2, 4)
    path.write_text(SMALL.replace(old, new))
    with pytest.raises(SurgeonError, match=re.escape(said)) as caught:
        load_spec(path)
    assert str(caught.value).startswith(f"spec {path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["3", "true", '""', '" "', "[1]"])
@pytest.mark.parametrize("key", ["title", "file"])
def test_title_and_file_are_texts(tmp_path: Path, key: str, wrong: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SMALL + f"{key} = {wrong}\n")
    with pytest.raises(SurgeonError, match=rf"\[modules.m\] {key} is .*; give a text"):
        load_spec(path)


@pytest.mark.parametrize("wrong", ["3", '""'])
def test_name_of_a_spec_is_a_text(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SMALL.replace('name = "own"', f"name = {wrong}", 1))
    with pytest.raises(SurgeonError, match=r"own.toml: name is .*; give a text"):
        load_spec(path)


def test_optional_is_true_or_false(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SMALL + "optional = 'yes'\n")
    with pytest.raises(SurgeonError, match=r"\[modules.m\] optional is 'yes'; give true or false"):
        load_spec(path)


def test_every_element_type_of_onnx_can_be_written_in_a_spec() -> None:
    names = {name.lower() for name, _ in onnx.TensorProto.DataType.items()} - {"undefined", "float", "double"}
    assert set(DTYPES) >= names | {"float32", "float64"}


def test_kinds_of_values_are_those_that_can_be_drawn() -> None:
    assert set(VALUES) == set(KINDS)
