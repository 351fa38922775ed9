"""The figures of `surgeon compile` on the HTML page."""

from __future__ import annotations

from dataclasses import replace

from verify.render.page import to_html
from verify.tensorrt.attention import Attention
from verify.tensorrt.compile import Compiled, FusedOrNot
from verify.tensorrt.table import as_report

ATTENTION = Attention(("scores", "weights", "out"), "", ("FLOAT16",) * 4, 8, 4096, 77, 64, 64)
MINE = Compiled(
    "mine.onnx",
    "SM89",
    "tensorrt_rtx 1",
    True,
    kernels=12,
    kinds={"gemm": 12},
    attentions=(
        FusedOrNot(ATTENTION, True),
        FusedOrNot(replace(ATTENTION, value_width=32), False, "of <unequal> width"),
    ),
    scratch=1_500_000,
    largest=(("node_add", (1, 4096, 256), "Half", 2_097_152),),
)
OTHER = Compiled("other.onnx", "SM89", "tensorrt_rtx 1", False, messages=("Foo 'bar': refused",))


def test_every_figure_is_on_the_page() -> None:
    html = to_html([as_report([MINE])], title="TensorRT build", rules={})
    for text in ("1.5 MB", "1 of 2", "no: of &lt;unequal&gt; width", "64/32", "1 × 4096 × 256", "node_add"):
        assert text in html, text
    assert html.count('<td class="number">12</td>') == 2  # all kernels, and those of the one kind


def test_two_builds_stand_side_by_side_and_a_refused_one_fails() -> None:
    report = as_report([MINE, OTHER])
    html = to_html([report], title="TensorRT build", rules={})
    assert report.exit_code == 1
    assert '<th scope="col" class="number">mine.onnx</th><th scope="col" class="number">other.onnx</th>' in html
    assert "other.onnx: Foo &#39;bar&#39;: refused" in html
