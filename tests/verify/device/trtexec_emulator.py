"""An emulator of trtexec's command line and files, for 8.6, 10.9, 10.16 and 11.0; onnxruntime computes the outputs.

Run as a program it is `trtexec`. EMULATED_TENSORRT is its version. EMULATED_FAULT makes a run go wrong as real ones do:
"crash", "refuse", "random", "stale", "scale" (outputs times 1.01), "nan" or "inf" (in one element), "wrong type".
Nothing here was measured; times and kernels are made up.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime

VERSION = os.environ.get("EMULATED_TENSORRT", "10.9")
NUMBER = tuple(int(part) for part in VERSION.split("."))
FAULT = os.environ.get("EMULATED_FAULT", "")
DIGITS = {"8.6": "8601", "10.9": "100900", "10.16": "101600", "11.0": "110000"}[VERSION]
NAMES = """
onnx shapes minShapes optShapes maxShapes loadInputs iterations warmUp duration exportOutput exportTimes exportProfile
exportLayerInfo dumpRawBindingsToFile saveEngine loadEngine skipInference memPoolSize profilingVerbosity noTF32
separateProfileRun
"""
COMMON = NAMES.split()
FLAGS = {
    "8.6": [*COMMON, "fp16", "int8", "best"],
    "10.9": [*COMMON, "fp16", "int8", "best", "bf16", "stronglyTyped"],
    "10.16": [*COMMON, "fp16", "int8", "best", "bf16", "stronglyTyped"],
    "11.0": [*COMMON, "stronglyTyped", "includeDataTransfers"],
}[VERSION]
OLD_NAMES = {
    "float32": "Float",
    "float16": "Half",
    "int32": "Int32",
    "bool": "Bool",
    "int8": "Int8",
    "uint8": "UInt8",
}
NEW_NAMES = {
    "float32": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "int32": "int32",
    "int64": "int64",
    "bool": "bool",
    "int8": "int8",
    "uint8": "uint8",
}


class Refused(Exception):
    """What trtexec ends with after it logged the reason."""


def say(severity: str, text: str) -> None:
    stream = sys.stdout if severity in "IV" else sys.stderr
    print(f"[11/27/2026-10:00:00] [{severity}] {text}", file=stream, flush=True)


def main() -> int:
    tag = f"TensorRT.trtexec [TensorRT v{DIGITS}]" + ("" if VERSION == "8.6" else " [b34]")
    tail = f"{tag} # trtexec {' '.join(sys.argv[1:])}"
    print(f"&&&& RUNNING {tail}", flush=True)
    try:
        run(options(sys.argv[1:]))
    except Refused as refused:
        if str(refused):
            say("E", str(refused))
        print(f"&&&& FAILED {tail}", flush=True)
        return 1
    print(f"&&&& PASSED {tail}", flush=True)
    return 0


def options(arguments: list[str]) -> dict[str, str]:
    found = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name.removeprefix("--") not in FLAGS:
            raise Refused(f"Unknown option: {name} {value}")
        found[name.removeprefix("--")] = value
    if "loadEngine" in found and "saveEngine" in found:
        raise Refused("--loadEngine and --saveEngine cannot be used together")
    return found


def pairs(text: str) -> dict[str, str]:
    return dict(entry.rsplit(":", 1) for entry in text.split(",")) if text else {}


def run(given: dict[str, str]) -> None:
    say("I", "=== Device Information ===")
    say("I", "Selected Device: NVIDIA A10")
    say("I", "Compute Capability: 8.6")
    say("I", f"TensorRT version: {VERSION}.0")
    say("I", "[TRT] [MemUsageChange] Init CUDA: CPU +13, GPU +0, now: CPU 18, GPU 300 (MiB)")
    plan = build(given) if "onnx" in given else json.loads(Path(given["loadEngine"]).read_text())
    if "exportLayerInfo" in given:
        Path(given["exportLayerInfo"]).write_text(layers(plan), encoding="utf-8")
    if "skipInference" in given:
        say("I", "Skipped inference phase since --skipInference is added.")
        return
    infer(plan, given)


def build(given: dict[str, str]) -> dict[str, Any]:
    path = Path(given["onnx"]).absolute()
    if not path.is_file():
        raise Refused(f"Failed to parse ONNX model from file: {path}")
    if FAULT == "crash":
        os.kill(os.getpid(), 9)
    if FAULT == "refuse":
        say("E", '[TRT] ModelImporter.cpp:948: While parsing node number 1 [ToyNorm -> "a"]:')
        say(
            "E",
            '[TRT] ModelImporter.cpp:950: --- Begin node ---\ninput: "h"\noutput: "a"\nop_type: "ToyNorm"\n',
        )
        say("E", "[TRT] ModelImporter.cpp:951: --- End node ---")
        say(
            "E",
            "[TRT] ModelImporter.cpp:953: ERROR: onnxOpCheckers.cpp:780 In function checkFallbackPluginImporter:\n"
            "[8] No importer registered for op: ToyNorm",
        )
        say("E", "Failed to parse onnx file")
        say("I", "Finished parsing network model. Parse time: 0.01")
        raise Refused("Engine set up failed")
    shapes = {at: pairs(given.get(f"{at}Shapes", "")) for at in ("min", "opt", "max")}
    graph = onnx.load(path, load_external_data=False).graph
    flexible = [v.name for v in graph.input if any(not d.HasField("dim_value") for d in v.type.tensor_type.shape.dim)]
    integers = [v.name for v in graph.input if v.type.tensor_type.elem_type in (6, 7)]
    if shapes["opt"] and not flexible and not set(shapes["opt"]) & set(integers):
        raise Refused(
            "Static model does not take explicit shapes since the shape of inference tensors will be determined by "
            "the model itself"
        )
    plan = {"onnx": str(path), "shapes": shapes, "verbosity": given.get("profilingVerbosity", "layer_names_only")}
    say("I", "Engine built in 1.25 sec.")
    say("I", "Created engine with size: 2 MiB")
    Path(given["saveEngine"]).write_text(json.dumps(plan), encoding="utf-8")
    return plan


def layers(plan: dict[str, Any]) -> str:
    nodes = onnx.load(plan["onnx"], load_external_data=False).graph.node
    if plan["verbosity"] != "detailed":
        return json.dumps({"Layers": [node.name for node in nodes]})
    made = [
        {
            "Name": f"__myl_{node.op_type}_myl0_{place}",
            "LayerType": "kgen",
            "Inputs": [{"Name": name, "Dimensions": [1], "Format/Datatype": "Float"} for name in node.input],
            "Outputs": [{"Name": name, "Dimensions": [1], "Format/Datatype": "Float"} for name in node.output],
            "Metadata": f"[ONNX Layer: {node.name or 'node_of_' + node.output[0]}]",
        }
        for place, node in enumerate(nodes)
    ]
    text = json.dumps({"Layers": made, "Bindings": []})
    return text.replace("\\u001e", "\x1e") if VERSION == "8.6" else text


def infer(plan: dict[str, Any], given: dict[str, str]) -> None:
    model = onnx.load(plan["onnx"])
    shapes = pairs(given.get("shapes", "")) or plan["shapes"]["opt"]
    files = pairs(given.get("loadInputs", ""))
    feeds = {v.name: read_input(v, shapes, files) for v in model.graph.input}
    session = onnxruntime.InferenceSession(plan["onnx"], providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, feeds), strict=True))
    outputs = {name: narrowed(broken(name, value, names[0])) for name, value in outputs.items()}
    say("I", "Starting inference")
    if "exportOutput" in given:
        Path(given["exportOutput"]).write_text(output_json(model, outputs), encoding="utf-8")
    copied = "exportOutput" in given or NUMBER < (10, 14)
    if "dumpRawBindingsToFile" in given:
        for name, value in feeds.items():
            if name in files:
                dump("input", name, narrowed(value))
        for name, value in outputs.items():
            stale = not copied or (FAULT == "stale" and name == names[0])
            dump("output", name, np.zeros_like(value) if stale else value)
    profiled = "exportProfile" in given
    if profiled:
        Path(given["exportProfile"]).write_text(profile(plan), encoding="utf-8")
    if profiled and NUMBER < (11, 0) and "separateProfileRun" not in given:
        say("W", "The e2e network timing is not reported since it is inaccurate due to the extra synchronizations")
    elif "exportTimes" in given:
        Path(given["exportTimes"]).write_text(times(), encoding="utf-8")


def narrowed(value: Any) -> Any:
    """As a binding: float32 for double, and int32 for int64 in 8.6."""
    if value.dtype == np.float64:
        return value.astype(np.float32)
    return value.astype(np.int32) if value.dtype == np.int64 and VERSION == "8.6" else value


def broken(name: str, value: Any, first: str) -> Any:
    if name != first or value.dtype.kind != "f" or not FAULT:
        return value
    value = np.array(value)
    if FAULT == "scale":
        value *= np.asarray(1.01, value.dtype)
    elif FAULT in ("nan", "inf"):
        value.reshape(-1)[-1] = float(FAULT)
    return value.astype(np.float16) if FAULT == "wrong type" else value


def read_input(value: Any, shapes: dict[str, str], files: dict[str, str]) -> Any:
    name, tensor = value.name, value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    binding = narrowed(np.zeros(0, dtype)).dtype
    if name in shapes and name not in files:
        said = [int(word) for word in shapes[name].split("x") if word and word != "scalar"]
        return np.asarray(said, dtype).reshape([d.dim_value for d in tensor.shape.dim])
    dims = [d.dim_value for d in tensor.shape.dim]
    if name in shapes:
        dims = [int(word) for word in shapes[name].split("x") if word and word != "scalar"]
    elif any(not d.HasField("dim_value") for d in tensor.shape.dim):
        dims = [dim or 1 for dim in dims]
        say(
            "W", f"Dynamic dimensions required for input: {name}, but no shapes were provided. Automatically overriding"
        )
    say("I", f"Input binding for {name} with dimensions {'x'.join(map(str, dims))} is created.")
    if name not in files or FAULT == "random":
        say("I", f"Using random values for input {name}")
        return np.random.Generator(np.random.Philox(1)).random(dims).astype(dtype)
    say("I", f"Using values loaded from {files[name]} for input {name}")
    content, size = Path(files[name]).read_bytes(), int(np.prod(dims)) * binding.itemsize
    fits = len(content) >= size if VERSION == "8.6" else len(content) in (max(size, 1), 2 * size)
    if not fits:
        raise Refused(
            f"Uncaught exception detected: Unexpected file size for input file: {files[name]}. "
            f"Note: Input binding size is: {size} bytes but the file size is {len(content)} bytes."
        )
    return np.frombuffer(content[:size], binding).reshape(dims).astype(dtype)


def dump(kind: str, name: str, value: Any) -> None:
    word = (OLD_NAMES if VERSION == "8.6" else NEW_NAMES)[str(value.dtype)]
    dims = ".".join(map(str, value.shape))
    plain = re.sub(r"[^A-Za-z0-9._,-]", "_", name)
    file = f"{plain}.{kind}.{dims}.{word}.raw" if dims else f"{plain}.{kind}.{word}.raw"
    say("I", f"Writing file for {kind} binding {name} (with datatype {word} and dimensions {dims}) to {file}")
    Path(file).write_bytes(np.ascontiguousarray(value).tobytes())


def output_json(model: Any, outputs: dict[str, Any]) -> str:
    declared = {v.name: v.type.tensor_type.shape.dim for v in model.graph.output}
    entries = []
    for name, value in reversed(outputs.items()):
        dims = "x".join(map(str, value.shape))
        head = ""
        if NUMBER >= (10, 9) and any("data" in dim.dim_param for dim in declared[name]):
            head = f"Final shape is {dims} reported by the output allocator.\n"
            dims = "-1"
        text = ", ".join(number(v) for v in value.reshape(-1))
        entries.append(f'{{ "name" : "{name}"\n  , "dimensions" : "{dims}"\n  , "values" : [ {head}{text} ]\n  }}')
    return "[\n  " + "\n, ".join(entries) + "\n]\n"


def number(value: Any) -> str:
    if isinstance(value, (np.bool_, np.integer)):
        return str(int(value)) if not (isinstance(value, np.uint8) and NUMBER < (10, 16)) else chr(int(value))
    return f"{float(value):.6g}"


def profile(plan: dict[str, Any]) -> str:
    names = [
        layer["Name"] if isinstance(layer, dict) else layer
        for layer in json.loads(layers(plan), strict=False)["Layers"]
    ]
    rows = [
        f', {{ "name" : "{name}", "timeMs" : {0.1 * (i + 1):.6g}, "averageMs" : {0.01 * (i + 1):.6g}, '
        f'"medianMs" : {0.01 * (i + 1):.6g}, "percentage" : {100 / len(names):.6g} }}'
        for i, name in enumerate(names)
    ]
    return "\n".join(["[", '  { "count" : 10 }', *rows, "]", ""])


def times() -> str:
    row = '{ "startEnqMs" : 0.02, "h2dMs" : 0.006, "computeMs" : 0.041, "d2hMs" : 0.004, "latencyMs" : 0.051 }'
    return "[\n  " + "\n, ".join([row] * 10) + "\n]\n"


if __name__ == "__main__":
    assert ml_dtypes
    sys.exit(main())
