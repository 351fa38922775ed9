"""The goldens in the repository: complete, small, tight enough, and their inputs come out the same here."""

from __future__ import annotations

from pathlib import Path

import pytest

from verify.goldens import find, index
from verify.goldens.compare import FORMS
from verify.goldens.index import Golden
from verify.goldens.inputs import make_inputs
from verify.goldens.quality.sensitivity import LEAST_SHARE, share
from verify.interface.spec import load_spec

FOLDER = Path(__file__).parents[3] / "golden"
GOLDENS = index.read_index(FOLDER)


def test_every_module_in_both_semantics() -> None:
    found = {(entry.match["module"], entry.match["semantics"]) for entry in GOLDENS}
    documented = set(load_spec().modules) - {"mask_decoder_prompts"}  # optional, recorded in one
    assert found == {(m, s) for m in documented for s in ("sam2", "masktracker")} | {("mask_decoder_prompts", "sam2")}
    assert find.shipped() == FOLDER


def test_small_enough_for_git_and_nothing_left_over() -> None:
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(files.values()) < 4_000_000
    assert set(files) == {"index.json", *(entry.data for entry in GOLDENS)}


@pytest.mark.parametrize("entry", GOLDENS, ids=lambda entry: entry.data)
def test_made_by_stock_sam2_with_every_case_of_the_spec(entry: Golden) -> None:
    assert entry.made_by["outputs"] == "stock SAM2"
    assert {"onnx-surgeon", "torch", "sam2", "onnxruntime", "numpy", "checkpoint"} <= set(entry.made_by)
    spec_file = load_spec(batch="dynamic")
    wanted = spec_file.golden[entry.match["module"]]
    assert [case.name for case in entry.cases] == [" ".join(f"{k}={v:g}" for k, v in one.items()) for one in wanted]
    data = index.read_data(entry)
    for case in entry.cases:
        spec = spec_file[entry.match["module"]]
        assert [tensor.name for tensor in case.outputs] == [port.name for port in spec.outputs]
        for tensor in case.outputs:
            keys = {key.removeprefix(f"{tensor.key}.") for key in data if key.startswith(f"{tensor.key}.")}
            parts = {key for key in keys if not key.startswith(("axis", "allowed"))}  # of single channels
            assert parts in FORMS


@pytest.mark.parametrize("entry", GOLDENS, ids=lambda entry: entry.data)
def test_tolerance_is_far_below_one_percent_of_one_percent(entry: Golden) -> None:
    """Any 1% of a tensor changed by 1% has an RMS error of 1e-3 of its RMS; see test_compact for the proof."""
    for case in entry.cases:
        for tensor in case.outputs:
            assert tensor.tolerance is not None
            assert tensor.tolerance["rms_rel"] < 1e-4, (case.name, tensor.name)
            assert tensor.tolerance["reason"]


@pytest.mark.parametrize("entry", GOLDENS, ids=lambda entry: entry.data)
def test_good_enough_for_strict(entry: Golden) -> None:
    assert (share(entry.sensitivity) or 0.0) >= LEAST_SHARE
    assert entry.data_sha256
    assert all(tensor.tight for case in entry.cases for tensor in case.outputs)


@pytest.mark.parametrize("entry", GOLDENS, ids=lambda entry: entry.data)
def test_inputs_are_the_same_bits_here(entry: Golden) -> None:
    data = index.read_data(entry)
    assert all(make_inputs(case, data) for case in entry.cases)
