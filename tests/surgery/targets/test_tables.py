"""The tables of what targets take: well formed, with a source for every row, and each version says what it should."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest

import surgery
from surgery.passes import all_passes
from surgery.targets import TARGETS, load_target, releases
from surgery.targets.catalog import load_catalog
from surgery.targets.conditions import UNKNOWN, evaluate
from surgery.targets.facts import NodeFacts
from surgery.targets.judge import places
from surgery.targets.table import Row, load_table, version_of
from verify.errors import SurgeonError
from verify.model.infer import infer_types

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRODUCTS = ("tensorrt", "tensorrt-rtx")
KINDS = {"documented", "parser source", "RTX", "reported"}


def rows(product: str) -> list[Row]:
    table = load_table(product)
    return list(dict.fromkeys(row for found in (*table.rows.values(), table.features.values()) for row in found))


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_row_names_its_kind_and_source(product: str) -> None:
    for row in rows(product):
        assert row.kind in KINDS, row
        assert len(row.source) > 5, row
        assert row.since is not None or row.says or row.unknown_from or row.features, row


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_condition_uses_facts_that_exist(product: str) -> None:
    known = {name.removeprefix("fact_") for name in dir(NodeFacts) if name.startswith("fact_")}

    def asked(name: str, _: tuple[object, ...]) -> object:
        assert name in known, name
        return UNKNOWN

    for row in rows(product):
        if row.when:
            evaluate(row.when, asked)


@pytest.mark.parametrize("product", PRODUCTS)
def test_rows_decide_features_that_the_catalog_has(product: str) -> None:
    of_passes = {rule.feature for rule in all_passes()}
    assert load_table(product).features.keys() <= load_catalog().keys() | of_passes


def test_tensorrt_rtx_knows_every_operator_of_onnx() -> None:
    judge = load_target("tensorrt-rtx").judge
    assert judge is not None
    schemas = [schema for schema in onnx.defs.get_all_schemas() if schema.domain == "" and not schema.deprecated]
    assert [schema.name for schema in schemas if judge.of_operator(schema.name).state == "unknown"] == []


def test_states_of_a_row_by_version() -> None:
    row = Row(("X",), "", version_of("11.0"), version_of("11.4"), version_of("10.14"), "reported", "a source", "")
    answers = {text: row.state(version_of(text)) for text in ("10.9", "10.14", "10.16", "11", "11.3", "11.4", "11.5")}
    assert answers == {
        "10.9": "refused",
        "10.14": "unknown",
        "10.16": "unknown",
        "11": "accepted",
        "11.3": "accepted",
        "11.4": "refused",
        "11.5": "refused",
    }
    later = Row(("X",), "", version_of("10.0"), None, version_of("11.0"), "documented", "a source", "")
    assert [later.state(version_of(text)) for text in ("10.9", "11")] == ["accepted", "unknown"]


def test_targets_and_their_versions() -> None:
    assert load_target("tensorrt").version == "10.9"
    assert load_target("deepstream-8.0").name == "tensorrt-10.9"
    assert load_target("deepstream-9.2").label == "TensorRT 10.16 (DeepStream 9.2)"
    assert load_target("tensorrt-10.13").version == "10.13"
    assert {f"deepstream-{release}" for release in releases()} <= set(TARGETS)
    for name in ("tensorrt-9.3", "tensorrt-12", "deepstream-7.1", "tensorrt-x", "openvino"):
        with pytest.raises(SurgeonError, match="choose one of"):
            load_target(name)


def test_deepstream_ships_what_the_table_covers() -> None:
    for release, row in releases().items():
        assert row["build"].startswith(f"{row['tensorrt']}."), release
        assert row["source"], release
        assert load_target(f"deepstream-{release}").judge is not None


VERSIONS = ("10.9", "10.14", "10.16", "11")
CASES = tomllib.loads(Path(__file__).with_name("tensorrt_cases.toml").read_text(encoding="utf-8"))


def model_of(name: str) -> onnx.ModelProto:
    opset, text = CASES[name]["opset"], CASES[name]["model"]
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}, "my" : 1]> {text}')


def states(model: onnx.ModelProto, version: str) -> list[str]:
    judge = load_target(f"tensorrt-{version}").judge
    assert judge is not None
    found = [place.ruling for place in places(infer_types(model), judge)]
    assert all(ruling.says for ruling in found if ruling.state != "accepted")
    assert all(ruling.row is not None and ruling.row.kind and ruling.row.source for ruling in found)
    return [ruling.state for ruling in found]


def test_the_table_of_cases_covers_forty_operators_and_conditions() -> None:
    assert len(CASES) >= 40
    assert sum(len(set(case["states"])) > 1 for case in CASES.values()) >= 10


@pytest.mark.parametrize("name", CASES)
def test_what_each_version_takes(name: str) -> None:
    assert [states(model_of(name), version)[0] for version in VERSIONS] == CASES[name]["states"]


@pytest.mark.parametrize("name", CASES)
def test_fix_rewrites_what_a_version_is_not_known_to_take(name: str) -> None:
    """What is accepted stays as it is; a rewrite that exists serves every version that does not take the node."""
    operators = [node.op_type for node in model_of(name).graph.node]
    mended = []
    for version, state in zip(VERSIONS, CASES[name]["states"], strict=True):
        fixed, _ = surgery.fix_model(model_of(name), target=f"tensorrt-{version}", guard=False)
        if state == "accepted":
            assert [node.op_type for node in fixed.graph.node] == operators
        elif all(state == "accepted" for state in states(fixed, version)):
            mended.append(version)
    assert mended == CASES[name].get("fixed", [])
