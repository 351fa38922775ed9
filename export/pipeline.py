"""Exports the modules of a model one at a time: wrap in torch, export, write metadata, fix."""

from __future__ import annotations

import gc
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export import precision
from export.modules.mask_decoder import SEMANTICS
from export.modules.wrap import wrap
from export.onnx_file.position_tables import factor_tables
from export.onnx_file.to_onnx import OPSET, check_opset, name_constant_outputs, quiet, to_onnx
from export.precision import PrecisionOptions
from export.seal import BLANK, KEY, is_unchanged, seal
from export.weights.choose import Weights, apply
from export.weights.sam2_model import MODEL_TYPES, VERSIONS, build, check_choice, check_image_size
from surgery.targets import TARGETS
from verify.errors import SurgeonError
from verify.interface.spec import Spec, SpecFile, load_spec
from verify.model.read import read_model

if TYPE_CHECKING:
    from verify.report import Check, Report

# What full TensorRT allows in a tensor, also at the largest shapes of a profile: "tensor volume exceeds (2^31)-1" in
# issues 1948 and 3033 of github.com/NVIDIA/TensorRT. TensorRT-RTX 1.7 builds larger ones.
MOST_ELEMENTS = 2**31 - 1
CALIBRATION_OBJECTS = 2  # objects per call when half precision is measured and a file takes any number of objects


@dataclass(frozen=True)
class Request:
    """The choices of one export; fields that change a file are written into its metadata.

    `prompts` adds the decoder with mask prompts to the four files; `only` names the modules to export instead.
    """

    model_type: str = "tiny"
    version: str = "2.1"
    image_size: int = 1024
    batch: int | str = 1
    semantics: str = "sam2"
    target: str = "tensorrt-rtx"
    opset: int = OPSET
    precision: str = "fp32"
    prompted_frames: int = 1
    prompts: bool = False
    only: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise SurgeonError unless every field can be exported; loads no heavy library."""
        check_choice("model type", self.model_type, MODEL_TYPES)
        check_choice("version", self.version, VERSIONS)
        check_choice("semantics", self.semantics, SEMANTICS)
        check_choice("target", self.target, TARGETS)
        check_choice("precision", self.precision, precision.PRECISIONS)
        check_image_size(self.image_size)
        check_opset(self.opset)
        self._check_prompted_frames()
        if "mask_decoder_prompts" in self.spec_file().modules and self.semantics != "sam2":
            raise SurgeonError(
                "mask_decoder_prompts needs --semantics sam2: MaskTracker has no decoder with mask prompts"
            )

    def _check_prompted_frames(self) -> None:
        """SurgeonError where the profile would allow scores of memory attention that no tensor can hold."""
        tokens = (self.image_size // 16) ** 2
        scores = MOST_ELEMENTS // (tokens * (self.batch if isinstance(self.batch, int) and self.batch > 0 else 1))
        most = max(1, (scores - 6 * tokens - 4 * 15) // (tokens + 4))
        if self.prompted_frames > most:
            raise SurgeonError(
                f"prompted frames is {self.prompted_frames}; give at most {most} at {self.image_size} pixels and "
                f"batch {self.batch}: the attention to more has over 2^31 - 1 scores, and TensorRT takes no such tensor"
            )

    def spec_file(self) -> SpecFile:
        """The interface of the modules to export, at this image size and batch mode."""
        found = load_spec("sam2", image_size=self.image_size, batch=self.batch, prompted_frames=self.prompted_frames)
        for name in self.only:
            check_choice("module", name, found.modules)
        wanted = self.only or [name for name, spec in found.modules.items() if self.prompts or not spec.optional]
        return replace(found, modules={name: spec for name, spec in found.modules.items() if name in wanted})


@dataclass
class Exported:
    """One finished file. `nodes_raw` counts the nodes that torch wrote; `report` is that of `fix`, None when reused.

    `precision` holds the error of half precision and the nodes left in float32; None for float32 and for a reused file.
    """

    module: str
    path: Path
    spec: Spec
    nodes_raw: int = 0
    nodes: int = 0
    seconds: float = 0.0
    reused: bool = False
    report: Report | None = field(default=None, repr=False)
    precision: Check | None = field(default=None, repr=False)


def export_all(
    request: Request,
    weights: Weights,
    folder: Path,
    *,
    keep_raw: bool = False,
    force: bool = False,
    trust: bool = False,
    precision_options: PrecisionOptions | None = None,
    started: Callable[[str], None] = lambda module: None,
) -> tuple[list[Exported], Any]:
    """Write the four files into `folder`; returns them and the stock model with its weights.

    A file that an export of this request wrote, and that is unchanged since, is left as it is, unless `force`. With
    `keep_raw` the files as torch wrote them stay in `folder`/raw. `started` is called with the name of each module.
    `precision_options` says how a precision below float32 is chosen. Raises SurgeonError for an unknown choice or
    weights that do not fit, CheckFailed where half precision exceeds its error limit.
    """
    request.check()
    spec_file = request.spec_file()
    options = precision_options or PrecisionOptions()
    options.check(spec_file.modules)
    with quiet():
        model = build(request.model_type, request.version, request.image_size)
    origin = apply(model, weights, request.model_type, request.version, trust=trust)
    lowering = _precision_options(request, spec_file, model, options)
    done = []
    for spec in spec_file.modules.values():
        started(spec.module)
        path = folder / spec.file
        wanted = metadata(request, spec, origin, options)
        if spec.module == "mask_decoder_prompts":
            wanted["mask_downsample"] = mask_downsample(model)
        item = None if force or keep_raw else _reuse(path, spec, wanted)
        done.append(item or _export_one(model, request, spec, path, wanted, keep_raw, lowering(spec.module)))
        gc.collect()
    return done, model


def _precision_options(
    request: Request, spec_file: SpecFile, model: Any, options: PrecisionOptions
) -> Callable[[str], dict[str, Any]]:
    """Options of `fix` for the precision of a module's file; calibration inputs are made when first needed."""

    @cache
    def inputs() -> dict[str, list[dict[str, Any]]]:
        objects = request.batch if isinstance(request.batch, int) else CALIBRATION_OBJECTS
        return precision.real_inputs(model, spec_file.modules, request.semantics, objects)

    def of(module: str) -> dict[str, Any]:
        if request.precision == "fp32":
            return {}
        return precision.fix_options(module, request.precision, options, inputs()[module])

    return of


def metadata(
    request: Request, spec: Spec, origin: str, precision_options: PrecisionOptions | None = None
) -> dict[str, str]:
    """The metadata of each file; keys as in `verify.interface.recognise.read_metadata`."""
    from importlib.metadata import version

    from surgery import __version__

    chosen = precision_options or PrecisionOptions()
    # The default is not written: the documented files hold nothing of it.
    prompted = {"prompted_frames": str(request.prompted_frames)} if request.prompted_frames > 1 else {}
    lowered = {"max_error": f"{chosen.max_error:g}", "calibrate": str(chosen.file(spec.module) or "")}
    return {
        "version": __version__,
        "spec": "sam2",
        "module": spec.module,
        "model_type": request.model_type,
        "model_version": request.version,
        "checkpoint": origin,
        "semantics": request.semantics,
        "image_size": str(request.image_size),
        "batch": str(request.batch),
        "precision": request.precision,
        "target": request.target,
        "opset": str(request.opset),
        "sam2_version": version("sam2"),
        "torch_version": version("torch"),
        **(lowered if request.precision != "fp32" else {}),
        **prompted,
    }


def mask_downsample(model: Any) -> str:
    """Weights [4, 4], row by row, and bias of the convolution of stride 4 that turns a mask prompt into `mask_input`.

    The convolution runs on the mask at the image's size, which is no input of the decoder; 17 numbers as text.
    """
    layer = model.mask_downsample
    return " ".join(f"{value:.9g}" for value in (*layer.weight.flatten().tolist(), *layer.bias.tolist()))


def _reuse(path: Path, spec: Spec, wanted: dict[str, str]) -> Exported | None:
    """The file at `path` when its metadata equal `wanted` and its content is what an export wrote."""
    from verify.interface.recognise import read_metadata

    try:
        model = read_model(path)
    except SurgeonError:
        return None
    found = read_metadata(model)
    optional = {"prompted_frames": "1"}
    if any(found.get(key, optional.get(key)) != value for key, value in {**optional, **wanted}.items()):
        return None
    if not is_unchanged(path):
        return None
    nodes_raw = int(found.get("nodes_raw", "0"))
    return Exported(spec.module, path, spec, nodes_raw, len(model.graph.node), reused=True)


def _export_one(
    model: Any,
    request: Request,
    spec: Spec,
    path: Path,
    about: dict[str, str],
    keep_raw: bool,
    precision: dict[str, Any],
) -> Exported:
    from surgery import fix

    began = time.perf_counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as scratch:
        raw = Path(scratch) / spec.file
        wrapper = wrap(spec.module, model, request.semantics, request.target, request.precision)
        to_onnx(wrapper, spec, raw, opset=request.opset)
        nodes_raw = _stamp(raw, about)
        if keep_raw:
            kept = path.parent / "raw" / spec.file
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(raw, kept)
        report = fix(raw, path, target=request.target, spec=spec, **precision)
        seal(path)
    lowered = next((check for check in report.checks if check.name == "precision"), None)
    seconds = time.perf_counter() - began
    return Exported(spec.module, path, spec, nodes_raw, _count_nodes(path), seconds, report=report, precision=lowered)


def _stamp(path: Path, about: dict[str, str]) -> int:
    """Write the metadata and give constant outputs a node of their own; returns the number of nodes.

    SurgeonError where torch wrote another opset than the metadata are to say.
    """
    import onnx

    from surgery.pipeline.opset import default_opset
    from verify.interface.recognise import write_metadata

    model = onnx.load(str(path))
    count = len(model.graph.node)
    if about["target"] != "onnxruntime":
        factor_tables(model)
    name_constant_outputs(model)
    written = default_opset(model)
    if str(written) != about["opset"]:
        raise SurgeonError(
            f"torch wrote {about['module']} in opset {written}, not {about['opset']}; choose --opset {written}"
        )
    write_metadata(model, {**about, "opset": str(written), "nodes_raw": str(count), KEY: BLANK})
    onnx.save(model, str(path))
    return count


def _count_nodes(path: Path) -> int:

    return len(read_model(path).graph.node)
