"""Exports torch modules with random weights by both of torch's exporters; run by the Python that has the packages.

    python torch_models.py FOLDER [NAME ...]

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


def classifier(name: str, **options: Any) -> Made:
    """A classifier of torchvision."""
    import torchvision

    return image_model(lambda: getattr(torchvision.models, name)(weights=None, **options))


def segmenter(name: str) -> Made:
    """A segmenter of torchvision, with its main output alone."""
    from torchvision.models import segmentation

    model = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=6)
    return image_model(lambda: MainOutput(model), 128)


def small(name: str) -> Made:
    """Small sizes of three architectures of torchvision."""
    import torchvision.models as vision

    if name == "vit":
        return image_model(lambda: vision.VisionTransformer(64, 16, 2, 4, 64, 128), 64)
    if name == "swin":
        return image_model(lambda: vision.SwinTransformer([4, 4], 32, [1, 2], [2, 4], [8, 8]), 256)
    blocks = [vision.convnext.CNBlockConfig(32, 64, 2), vision.convnext.CNBlockConfig(64, None, 2)]
    return image_model(lambda: vision.ConvNeXt(blocks))


def vgg() -> Made:
    import torchvision

    return image_model(lambda: nn.Sequential(*torchvision.models.vgg11_bn(weights=None).features))


def move_statistics(model: nn.Module) -> None:
    """Give normalizations other means and scales than 0 and 1, as training does."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for values, low, high in ((module.running_var, 0.5, 2.0), (module.weight.data, 0.5, 1.5)):
                values.uniform_(low, high)
            for values in (module.running_mean, module.bias.data):
                values.normal_(0, 0.2)


class MainOutput(nn.Module):
    """The output "out" of a segmenter."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image)["out"]


class LineReader(nn.Module):
    """Convolutions, a transposed one, an LSTM in both directions and two layers: how text lines are read."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for before, after in ((3, 32), (32, 64), (64, 128)):
            parts += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        parts += [nn.ConvTranspose2d(128, 64, 2, 2), nn.BatchNorm2d(64), nn.ReLU()]
        self.features = nn.Sequential(*parts)
        self.reader = nn.LSTM(64 * 8, 32, bidirectional=True, batch_first=True)
        self.letters = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 37))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        read, _ = self.reader(self.features(image).flatten(1, 2).transpose(1, 2))
        batch, length, width = read.shape
        return self.letters(read.reshape(-1, width)).reshape(batch, length, -1).softmax(-1)


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
    "resnet18": lambda: classifier("resnet18"),
    "mobilenet_v2": lambda: classifier("mobilenet_v2"),
    "mobilenet_v3": lambda: classifier("mobilenet_v3_small"),
    "densenet": lambda: classifier("densenet121"),
    "googlenet": lambda: classifier("googlenet", aux_logits=False, init_weights=False),
    "shufflenet": lambda: classifier("shufflenet_v2_x0_5"),
    "squeezenet": lambda: classifier("squeezenet1_1"),
    "mnasnet": lambda: classifier("mnasnet0_5"),
    "regnet": lambda: classifier("regnet_y_400mf"),
    "vgg11_bn": vgg,
    "vit_b_tv": lambda: small("vit"),
    "swin_v2": lambda: small("swin"),
    "convnext_tv": lambda: small("convnext"),
    "lraspp": lambda: segmenter("lraspp_mobilenet_v3_large"),
    "deeplab": lambda: segmenter("deeplabv3_mobilenet_v3_large"),
    "crnn": lambda: (LineReader(), {"image": torch.rand(2, 3, 32, 96)}, {"image": IMAGE}),
    "ssdlite": lambda: mobile_detector("ssdlite320_mobilenet_v3_large"),
    "faster_rcnn": lambda: mobile_detector("fasterrcnn_mobilenet_v3_large_320_fpn"),
}


def export(name: str, folder: Path, new: bool) -> None:
    """Write one model with one exporter, and its inputs."""
    torch.manual_seed(0)
    model, feeds, axes = MODELS[name]()
    move_statistics(model)
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
