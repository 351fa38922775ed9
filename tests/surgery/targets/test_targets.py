"""The catalog of what TensorRT refuses: well formed, probed, and taken by the real parser and builder once fixed."""

from __future__ import annotations

import pytest

import surgery
from surgery.passes import all_passes
from surgery.targets import TARGETS, load_target
from surgery.targets.catalog import Feature, load_catalog
from surgery.targets.table import load_table
from surgery.targets.wrong_results import wrong_results
from verify.errors import SurgeonError

CATALOG = list(load_catalog().values())
FIXABLE = [feature for feature in CATALOG if feature.pass_code]


@pytest.mark.parametrize("feature", CATALOG, ids=lambda feature: feature.key)
def test_rows_are_whole(feature: Feature) -> None:
    assert feature.model().graph.node
    assert feature.reason.endswith(".")
    assert feature.advice.endswith(".")
    assert load_target("tensorrt-rtx").refuses(feature.key)


def test_passes_the_catalog_names_exist() -> None:
    codes = {rule.code for rule in all_passes()}
    assert {feature.pass_code for feature in FIXABLE} <= codes


def test_features_the_passes_name_exist() -> None:
    known = load_catalog().keys() | wrong_results().keys() | load_table("tensorrt").features.keys()
    assert {rule.feature for rule in all_passes() if rule.kind == "replace" and rule.feature} <= known


def test_full_tensorrt_takes_what_only_rtx_refuses() -> None:
    assert load_target("tensorrt").refuses("nonzero") is None
    assert load_target("tensorrt").refuses("op:NonMaxSuppression") is None
    assert load_target("tensorrt").refuses("bitwise")


def test_tables_name_the_version_they_were_probed_with() -> None:
    assert all(load_target(name).version[0].isdigit() for name in TARGETS)


def test_unknown_targets_are_refused() -> None:
    with pytest.raises(SurgeonError, match="choose one of"):
        load_target("openvino")


@pytest.mark.slow
@pytest.mark.parametrize("feature", FIXABLE, ids=lambda feature: feature.key)
def test_tensorrt_takes_what_was_fixed(feature: Feature) -> None:
    pytest.importorskip("tensorrt_rtx")
    from surgery.targets.probe import ask_tensorrt

    model = feature.model()
    assert ask_tensorrt(model, feature.profile)
    fixed, _ = surgery.fix_model(model, guard=False)
    assert ask_tensorrt(fixed, feature.profile) is None
