"""The names under which breaches are reported."""

from __future__ import annotations

from tests.verify.lint.models import BRANCHES, GOOD, changed, parsed
from tests.verify.lint.test_lint_messages import lines


def test_path_names_nodes_by_their_name_or_operator_and_place() -> None:
    model = parsed(BRANCHES.format(made="v", read="gone"))
    assert lines(model) == ["node_of_v in If_1/then_branch: reads 'gone', which does not exist"]
    model.graph.node[1].name = "choice"
    assert lines(model) == ["node_of_v in choice/then_branch: reads 'gone', which does not exist"]


def test_a_node_has_its_name_or_that_of_its_first_output_or_its_operator() -> None:
    model = changed(lambda m: m.graph.node[0].input.append("x"))
    model.graph.node[0].name = "first"
    assert lines(model) == ["first: 2 inputs; Relu has 1"]
    model = changed(lambda m: m.graph.node.add(op_type="Relu", input=["gone"], output=[]), GOOD)
    assert lines(model) == ["node_of_Relu: reads 'gone', which does not exist", "node_of_Relu: 0 outputs; Relu has 1"]
