"""Writes the script that shows a repro's refusal, and the text to paste into a bug report."""

from __future__ import annotations

import platform

import onnx

from surgery.diagnose.search.refusals import Case
from verify.model.walk import opsets_of
from verify.render.text import port_text
from verify.tensorrt import engine

SCRIPT = '''"""Shows that TensorRT refuses model.onnx. Needs no GPU with tensorrt_rtx."""
import MODULE as trt

logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(0)
parser = trt.OnnxParser(network, logger)
parsed = parser.parse_from_file("model.onnx")
for index in range(parser.num_errors):
    error = parser.get_error(index)
    print(error.code().name, error.node_operator(), error.desc())
if parsed:
    config = builder.create_builder_config()
    if hasattr(config, "num_compute_capabilities"):
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM89, 0)
PROFILE    print("built" if builder.build_serialized_network(network, config) else "the builder refuses it")
'''


def script(case: Case) -> str:
    """A Python script that needs TensorRT alone and prints what it says of model.onnx beside it."""
    return SCRIPT.replace("MODULE", engine.backend()).replace("PROFILE", _profile() if not case.code else "")


def _profile() -> str:
    return """    profile = builder.create_optimization_profile()
    for tensor in (network.get_input(index) for index in range(network.num_inputs)):
        if tensor.is_shape_tensor:
            values = [1] * max(tensor.shape[0] if len(tensor.shape) else 1, 1)
            profile.set_shape_input(tensor.name, values, values, values)
        elif -1 in tuple(tensor.shape):
            shape = [4 if dim < 0 else dim for dim in tensor.shape]
            profile.set_shape(tensor.name, shape, shape, shape)
    config.add_optimization_profile(profile)
"""


def bug_report(case: Case, model: onnx.ModelProto) -> str:
    """Markdown to paste: versions, what was tried, what TensorRT said, and the model as text."""
    finding = case.finding
    stage = f"The ONNX parser refuses it with {case.code}." if case.code else "The parser takes it; the builder fails."
    inputs = "\n".join(f"    {port_text(port)}" for port in finding.details.get("inputs", ()))
    opset = opsets_of(model.opset_import).get("", "?")
    text = onnx.printer.to_text(model) if model.ByteSize() < 20_000 else "(see model.onnx)"
    return f"""# TensorRT refuses {finding.op}

{stage} {finding.why}

    {case.message.strip().replace(chr(10), chr(10) + "    ")}

Inputs of the node:

{inputs}

Versions: {engine.version()}, onnx {onnx.__version__}, opset {opset}, Python {platform.python_version()}, \
{platform.system()} {platform.machine()}.

To reproduce, in this folder:

    pip install {engine.BACKENDS[engine.backend()]}
    python reproduce.py

model.onnx:

```
{text.strip()}
```
"""
