"""The layers of an engine that trtexec built elsewhere, each with its ONNX nodes, precision and time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from verify.device.manifest import RUN_LOG
from verify.device.results.log import judge_name, read_log
from verify.device.results.times import ProfileRow, Times, read_profile, read_times
from verify.errors import SurgeonError
from verify.model.walk import node_name

if TYPE_CHECKING:
    import onnx

# ONNX's name of each type in layers.json.
TYPES = {"FP32": "float32", "FLOAT": "float32", "FP16": "float16", "HALF": "float16", "BF16": "bfloat16"}
TYPES |= {"BFLOAT16": "bfloat16", "INT8": "int8", "INT32": "int32", "INT64": "int64", "BOOL": "bool", "FP8": "fp8"}
METADATA = re.compile(r"\[ONNX Layer: ([^\x1e\x1f]*?)\](?=[\x1e\x1f]|$)")
FOREIGN = re.compile(r"^\{ForeignNode\[(.*?)\.\.\.(.*?)\]\}$")
NO_NODE = re.compile(r"^(Reformatting CopyNode for |\(Unnamed Layer\* \d+\)|ONNXTRT_)")
MANGLED = re.compile(r"_myl\d*(_\d+)?$")
PROFILE_SUFFIX = re.compile(r" \[profile \d+\]$")

How = Literal["metadata", "name", "between", ""]


@dataclass(frozen=True)
class Layer:
    """One layer of the engine.

    kind          TensorRT's layer type: "kgen", "CaskConvolution", "Reformat", ...
    nodes         the ONNX nodes it computes
    how           where the nodes come from: its metadata, its name, "between" for all nodes between the two that the
                  name of a fused region gives, which is a guess; empty where it has none
    precision     types of what it writes: "float16"; "?" where the file does not say
    milliseconds  mean time of one run; None without a profile
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    how: How
    precision: str
    milliseconds: float | None


@dataclass(frozen=True)
class Engine:
    """The layers of one engine, with its times where they were given."""

    source: str
    judge: str
    layers: tuple[Layer, ...]
    node_count: int
    unnamed_nodes: int
    detailed: bool
    times: Times | None = None
    unmatched: int = 0

    @property
    def milliseconds(self) -> float | None:
        """Sum of all layers; None without a profile."""
        known = [layer.milliseconds for layer in self.layers if layer.milliseconds is not None]
        return sum(known) if known else None


def read_engine(model: onnx.ModelProto, layers: Path, profile: Path | None = None, times: Path | None = None) -> Engine:
    """Read layers.json, or a folder that holds it, with profile.json and times.json of the same run.

    Raises:
        SurgeonError: a file cannot be read, lists nothing, or is of another model.
    """
    if layers.is_dir():
        folder = layers
        layers = folder / "layers.json"
        profile, times = (
            given or (folder / name if (folder / name).is_file() else None)
            for given, name in ((profile, "profile.json"), (times, "times.json"))
        )
    entries = _entries(layers)
    rows = read_profile(profile) if profile is not None else []
    names = [node_name(node) for node in model.graph.node]
    found = [_layer(entry, names) for entry in entries]
    timed, unmatched = _timed(found, rows)
    mapped = {name for layer in timed for name in layer.nodes}
    claimed = {name for layer in found for name in layer.nodes}
    if claimed and not claimed & set(names):
        raise SurgeonError(f"{layers}: of another model: it names {sorted(claimed)[0]}, which is no node of this one")
    return Engine(
        str(layers),
        _judge(layers.parent),
        tuple(timed),
        len(names),
        len(set(names) - mapped),
        any(isinstance(entry, dict) for entry in entries),
        read_times(times) if times is not None else None,
        unmatched,
    )


def _judge(folder: Path) -> str:
    """The machine named in the log beside the file, if there is one."""
    log = read_log(folder / RUN_LOG)
    return judge_name(log.version, log.gpu) if log is not None else judge_name("", "")


def _entries(path: Path) -> list[Any]:
    """The layers as the file has them: objects, or only names if the engine was built without detailed verbosity."""
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
        text = re.sub(r'"(?:[^"\\]|\\.)*"|-?\b(?:nan|inf)\b', lambda m: m[0] if m[0][0] == '"' else "null", text)
        content = json.loads(text, strict=False)  # 8.6 writes raw control characters between the names of nodes
    except OSError as error:
        raise SurgeonError(f"{path}: {error.strerror or error}") from None
    except ValueError:
        raise SurgeonError(f"{path}: not the JSON that trtexec --exportLayerInfo writes, or cut short") from None
    found = content.get("Layers") if isinstance(content, dict) else content
    if not isinstance(found, list) or not all(isinstance(entry, (str, dict)) for entry in found):
        raise SurgeonError(f"{path}: has no list of layers; write it with trtexec --exportLayerInfo")
    if not found:
        raise SurgeonError(f"{path}: lists no layer; build the engine with trtexec --profilingVerbosity=detailed")
    return found


def _layer(entry: Any, names: Sequence[str]) -> Layer:
    if isinstance(entry, str):
        nodes, how = _nodes_of_name(entry, names)
        return Layer(entry, "?", nodes, how, "?", None)
    name, metadata = str(entry.get("Name", "")), str(entry.get("Metadata") or "")
    named = tuple(dict.fromkeys(filter(None, METADATA.findall(metadata))))
    nodes, how = (named, "metadata") if named else _nodes_of_name(name, names)
    return Layer(name, str(entry.get("LayerType") or "?"), nodes, how, _precision(entry), None)


def _nodes_of_name(name: str, names: Sequence[str]) -> tuple[tuple[str, ...], How]:
    """The nodes that a layer's name gives; those of fused kernels are mangled and give none."""
    name = PROFILE_SUFFIX.sub("", name)
    region = FOREIGN.match(name)
    if region:
        ends = [place for place, known in enumerate(names) if known in (region[1], region[2])]
        return (tuple(names[min(ends) : max(ends) + 1]), "between") if ends else ((), "")
    if NO_NODE.match(name) or MANGLED.search(name):
        return (), ""
    parts = [part for piece in name.split(" + ") for part in re.sub(r"^PWN\((.*)\)$", r"\1", piece).split(", ")]
    nodes = tuple(part for part in parts if part in set(names))
    return (nodes, "name") if nodes else ((), "")


def _precision(entry: Mapping[str, Any]) -> str:
    """The types of the tensors that a layer writes, in order of first use."""
    words: dict[str, None] = {}
    for tensor in entry.get("Outputs") or ():
        said = f"{tensor.get('Datatype', '')} {tensor.get('Format/Datatype', '')}" if isinstance(tensor, dict) else ""
        words |= {TYPES[word.upper()]: None for word in re.findall(r"[A-Za-z]+\d*", said) if word.upper() in TYPES}
    return " ".join(words) or "?"


def _timed(layers: Sequence[Layer], rows: Sequence[ProfileRow]) -> tuple[list[Layer], int]:
    """The layers with their times, joined by name and then by order; and how many rows have no layer."""
    waiting: dict[str, list[ProfileRow]] = {}
    for row in rows:
        waiting.setdefault(row.name, []).append(row)
    found = [
        replace(layer, milliseconds=waiting[layer.name].pop(0).milliseconds) if waiting.get(layer.name) else layer
        for layer in layers
    ]
    return found, sum(map(len, waiting.values()))


def by_node(engine: Engine) -> dict[str, float]:
    """Milliseconds of each ONNX node; the time of a layer is divided equally among its nodes."""
    found: dict[str, float] = {}
    for name, share in _shares(engine):
        found[name] = found.get(name, 0.0) + share
    return found


def by_module(engine: Engine, modules: Mapping[str, str]) -> dict[str, float]:
    """Milliseconds of each torch module, from the module of each node; nodes without one are left out."""
    found: dict[str, float] = {}
    for name, share in _shares(engine):
        if modules.get(name):
            found[modules[name]] = found.get(modules[name], 0.0) + share
    return found


def _shares(engine: Engine) -> Iterator[tuple[str, float]]:
    for layer in engine.layers:
        for name in layer.nodes:
            if layer.milliseconds is not None:
                yield name, layer.milliseconds / len(layer.nodes)
