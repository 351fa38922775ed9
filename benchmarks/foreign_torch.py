"""Exports torch modules with random weights by both of torch's exporters; run by the Python that has the packages.

    python foreign_torch.py FOLDER [NAME ...]

Needs torch, onnxscript, timm, transformers and torchvision; writes FOLDER/NAME.old.onnx and FOLDER/NAME.new.onnx, and
beside each its inputs as NAME.npz. It imports nothing of surgeon, so that any environment may run it.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

Made = tuple[nn.Module, dict[str, torch.Tensor], dict[str, dict[int, str]]]
IMAGE = {0: "batch"}


def image_model(make: Callable[[], nn.Module], size: int = 224) -> Made:
    """A classifier of pictures [batch, 3, size, size]."""
    return make(), {"image": torch.rand(2, 3, size, size)}, {"image": IMAGE}


def timm_model(name: str, size: int = 224, **options: Any) -> Made:
    import timm

    return image_model(lambda: timm.create_model(name, pretrained=False, **options), size)


def bert() -> Made:
    from transformers import BertConfig, BertModel

    config = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256)
    feeds = {"input_ids": torch.randint(0, 30000, (2, 12)), "attention_mask": torch.ones(2, 12, dtype=torch.int64)}
    feeds["attention_mask"][1, 9:] = 0
    return Outputs(BertModel(config), "last_hidden_state"), feeds, {n: {0: "batch", 1: "tokens"} for n in feeds}


def llama() -> Made:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=1000, hidden_size=128, num_hidden_layers=2, num_attention_heads=8, num_key_value_heads=2
    )
    config.intermediate_size, config.use_cache = 256, False
    feeds = {"input_ids": torch.randint(0, 1000, (2, 16)), "attention_mask": torch.ones(2, 16, dtype=torch.int64)}
    return Outputs(LlamaForCausalLM(config), "logits"), feeds, {n: {0: "batch", 1: "tokens"} for n in feeds}


def whisper() -> Made:
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(d_model=64, encoder_layers=2, decoder_layers=2, vocab_size=1000, max_source_positions=200)
    config.encoder_attention_heads = config.decoder_attention_heads = 4
    config.encoder_ffn_dim = config.decoder_ffn_dim = 128
    config.use_cache, config.pad_token_id, config.decoder_start_token_id = False, 0, 1
    feeds = {"input_features": torch.randn(2, 80, 400), "decoder_input_ids": torch.randint(0, 1000, (2, 7))}
    return Outputs(WhisperModel(config), "last_hidden_state"), feeds, {"decoder_input_ids": {1: "tokens"}}


def detr() -> Made:
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

    backbone = ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], out_features=["stage2"])
    config = DetrConfig(use_timm_backbone=False, backbone_config=backbone, backbone=None, d_model=64, num_queries=20)
    config.encoder_layers = config.decoder_layers = 2
    config.encoder_ffn_dim = config.decoder_ffn_dim = 128
    feeds = {"pixel_values": torch.rand(1, 3, 128, 160), "pixel_mask": torch.ones(1, 128, 160, dtype=torch.int64)}
    feeds["pixel_mask"][:, 100:] = 0
    return Outputs(DetrForObjectDetection(config), "logits", "pred_boxes"), feeds, {}


def mobile_detector(name: str) -> Made:
    """A detector of torchvision: a list of pictures goes in, boxes, labels and scores of the first come out."""
    from torchvision.models import detection

    sizes = {"min_size": 160, "max_size": 160} if name.startswith("faster") else {}
    model = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=6, **sizes)
    return Detections(model), {"image": torch.rand(3, 160, 160)}, {}


class Outputs(nn.Module):
    """The named outputs of a model of transformers, as a tuple."""

    def __init__(self, model: nn.Module, *names: str) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *args: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first = {"WhisperModel": ("input_features", "decoder_input_ids"), "DetrForObjectDetection": DETR}
        keys = first.get(type(self.model).__name__, ("input_ids", "attention_mask"))
        found = self.model(**dict(zip(keys, args, strict=True)))
        return tuple(getattr(found, name) for name in self.names)


DETR = ("pixel_values", "pixel_mask")


class Detections(nn.Module):
    """A detector for one picture."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        found = self.model([image])[0]
        return found["boxes"], found["labels"], found["scores"]


class Masked(nn.Module):
    """Boolean masks, nonzero, repeat_interleave and a scripted loop: what detection heads are written with."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3, stride=4)
        self.score, self.box = nn.Linear(8, 1), nn.Linear(8, 4)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tokens = self.features(image).flatten(2).transpose(1, 2)
        score = self.score(tokens).squeeze(-1)
        clear = tokens.clone()
        clear[score < 0] = 0.0
        wide = torch.repeat_interleave(clear, 2, dim=1)
        best = self.box(tokens)[score > 0]
        return wide, best, torch.nonzero(score > 0.1)


MODELS: dict[str, Callable[[], Made]] = {
    "vit": lambda: timm_model("vit_tiny_patch16_224", depth=3),
    "swin": lambda: timm_model("swin_tiny_patch4_window7_224", depths=(1, 1, 2, 1), embed_dim=48),
    "convnext": lambda: timm_model("convnext_atto"),
    "efficientnet": lambda: timm_model("efficientnet_b0"),
    "maxvit": lambda: timm_model("maxvit_rmlp_pico_rw_256", 256),
    "bert": bert,
    "llama": llama,
    "whisper": whisper,
    "detr": detr,
    "masked": lambda: (Masked(), {"image": torch.rand(2, 3, 33, 33)}, {"image": IMAGE}),
    "ssdlite": lambda: mobile_detector("ssdlite320_mobilenet_v3_large"),
    "faster_rcnn": lambda: mobile_detector("fasterrcnn_mobilenet_v3_large_320_fpn"),
}


def export(name: str, folder: Path, new: bool) -> None:
    """Write one model with one exporter, and its inputs."""
    torch.manual_seed(0)
    model, feeds, axes = MODELS[name]()
    model.eval()
    names = list(feeds)
    path = folder / f"{name}.{'new' if new else 'old'}.onnx"
    args = tuple(feeds.values())
    options: dict[str, Any] = {"input_names": names, "dynamo": new}
    if new:
        free = {key: dict.fromkeys(dims, torch.export.Dim.DYNAMIC) for key, dims in axes.items()}
        shapes = tuple(free.get(key) for key in names)
        options |= {"external_data": False, "optimize": True}
        if axes:
            wrapped = (shapes,) if isinstance(model, Outputs) else shapes
            options["dynamic_shapes"] = wrapped
    else:
        options |= {"opset_version": 17, "dynamic_axes": axes}
    with torch.no_grad():
        torch.onnx.export(model, args, str(path), **options)
    np.savez(folder / f"{name}.npz", **{key: value.numpy() for key, value in feeds.items()})


def main(arguments: list[str]) -> int:
    """Export the models asked for, or all; a model that an exporter refuses is said and left out."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    packages = ("torch", "onnxscript", "timm", "transformers", "torchvision")
    (folder / "versions.json").write_text(json.dumps({name: importlib.metadata.version(name) for name in packages}))
    for name in arguments[1:] or MODELS:
        for new in (False, True):
            try:
                export(name, folder, new)
                print(f"{name} {'new' if new else 'old'}: exported", flush=True)
            except Exception as error:
                reason = str(error).strip().splitlines()
                print(f"{name} {'new' if new else 'old'}: {type(error).__name__} {reason[0][:200] if reason else ''}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
