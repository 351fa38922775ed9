"""Exports ten public architectures with random weights; run by the Python that has the packages.

    python half_precision_torch.py FOLDER [NAME ...]

Needs torch, torchvision, transformers and diffusers; an architecture whose package is missing is skipped, and the
script says so. It writes FOLDER/NAME.onnx, and beside each three sets of inputs as NAME.ordinary.npz,
NAME.zero_rows.npz and NAME.large.npz. It imports nothing of surgeon, so that any environment may run it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

Inputs = dict[str, torch.Tensor]
Made = tuple[nn.Module, Inputs]
LARGE = 100.0  # times the ordinary values
SIZES: dict[str, Any] = {
    "hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 512,
}  # fmt: skip
PLAIN: dict[str, Any] = {"attn_implementation": "eager"}


class Called(nn.Module):
    """A module that takes its inputs in order, by these names, and gives its first outputs."""

    def __init__(self, inner: nn.Module, *names: str, **fixed: Any) -> None:
        super().__init__()
        self.inner, self.names, self.fixed = inner, names, fixed

    def forward(self, *inputs: torch.Tensor) -> Any:
        made = self.inner(**dict(zip(self.names, inputs, strict=True)), **self.fixed)
        return made if isinstance(made, torch.Tensor) else made[0]


class Detections(nn.Module):
    """A detector of torchvision on one picture."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image: torch.Tensor) -> Any:
        features = list(self.inner.backbone(image).values())
        return tuple(self.inner.head(features).values())


def words() -> Inputs:
    """Two texts of 64 words as vectors, the second half as long."""
    mask = torch.ones(2, 64, dtype=torch.int64)
    mask[1, 32:] = 0
    return {"embeddings": torch.randn(2, 64, 256), "attention_mask": mask}


def bert() -> Made:
    """An encoder of words; half of the second row is padding."""
    from transformers import BertConfig, BertModel

    ids = torch.randint(0, 999, (2, 128))
    mask = torch.ones_like(ids)
    mask[1, 64:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    return Called(BertModel(BertConfig(vocab_size=999, **SIZES, **PLAIN)), *inputs), inputs


def vit() -> Made:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(image_size=128, patch_size=8, **SIZES, **PLAIN)
    return Called(ViTModel(config), "pixel_values"), {"image": torch.randn(1, 3, 128, 128)}


def t5() -> Made:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=99, d_model=256, d_kv=64, d_ff=512, num_layers=3, num_heads=4, **PLAIN)
    return Called(T5EncoderModel(config), "inputs_embeds"), {"embeddings": torch.randn(1, 128, 256)}


def whisper() -> Made:
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        d_model=256, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=512, decoder_layers=1,
        decoder_attention_heads=4, num_mel_bins=80, max_source_positions=200, vocab_size=99, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, **PLAIN,
    )  # fmt: skip
    return Called(WhisperModel(config).encoder, "input_features"), {"features": torch.randn(1, 80, 400)}


def llama() -> Made:
    """Blocks of a language model, with root mean square normalization and rotary positions."""
    from transformers import LlamaConfig, LlamaModel

    config = LlamaConfig(vocab_size=99, num_key_value_heads=2, rms_norm_eps=1e-6, **SIZES, **PLAIN)
    return Called(LlamaModel(config), "inputs_embeds", "attention_mask", use_cache=False), words()


def gpt2() -> Made:
    """Blocks of a language model."""
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(vocab_size=99, n_embd=256, n_layer=3, n_head=4, n_positions=128, **PLAIN)
    return Called(GPT2Model(config), "inputs_embeds", "attention_mask", use_cache=False), words()


def resnet() -> Made:
    from torchvision.models import resnet18

    return resnet18(), {"image": torch.randn(1, 3, 224, 224)}


def detector() -> Made:
    """Backbone and heads of SSDlite, whose detections are not yet chosen."""
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    made = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    return Detections(made), {"image": torch.randn(1, 3, 320, 320)}


def segmenter() -> Made:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    made = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    return First(made), {"image": torch.randn(1, 3, 256, 256)}


class First(nn.Module):
    """A module of torchvision that gives a dictionary, of which this is the first value."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = next(iter(self.inner(image).values()))
        return made


def unet() -> Made:
    """The blocks of a diffusion model that removes noise, with attention to the words of the prompt."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    made = UNet2DConditionModel(
        sample_size=32, block_out_channels=(64, 128), layers_per_block=1, cross_attention_dim=64,
        attention_head_dim=4, norm_num_groups=16,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    made.set_attn_processor(AttnProcessor())
    inputs = {
        "sample": torch.randn(1, 4, 32, 32), "timestep": torch.tensor([500]),
        "encoder_hidden_states": torch.randn(1, 77, 64),
    }  # fmt: skip
    return Called(made, *inputs, return_dict=False), inputs


MODELS: dict[str, Callable[[], Made]] = {
    "bert": bert, "vit": vit, "t5": t5, "whisper": whisper, "llama": llama, "gpt2": gpt2, "resnet": resnet,
    "detector": detector, "segmenter": segmenter, "unet": unet,
}  # fmt: skip


def zero_rows(inputs: Inputs) -> Inputs:
    """The first rows of floats are zero, and so is the last row of a mask: what padding gives."""
    changed = {name: value.clone() for name, value in inputs.items()}
    for name, value in changed.items():
        if value.is_floating_point():
            value.reshape(-1, value.shape[-1])[: max(1, value.shape[-2] // 8)] = 0
        elif "mask" in name:
            value[-1] = 0
    return changed


def large(inputs: Inputs) -> Inputs:
    return {name: value * LARGE if value.is_floating_point() else value for name, value in inputs.items()}


def _normalize(module: nn.Module, inputs: Inputs) -> None:
    """Fill the statistics of BatchNormalization; without them the values of a deep network of random weights vanish."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    module.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    if norms:
        with torch.no_grad():
            module(*(torch.cat([value, torch.randn_like(value)]) for value in inputs.values()))
    module.eval()


def write(name: str, folder: Path) -> None:
    """Export one architecture, and write its inputs."""
    torch.manual_seed(0)
    module, inputs = MODELS[name]()
    _normalize(module, inputs)
    for which, values in {"ordinary": inputs, "zero_rows": zero_rows(inputs), "large": large(inputs)}.items():
        np.savez(folder / f"{name}.{which}.npz", **{key: value.numpy() for key, value in values.items()})
    torch.onnx.export(
        module, tuple(inputs.values()), str(folder / f"{name}.onnx"), input_names=list(inputs), opset_version=18,
        dynamo=False,
    )  # fmt: skip


def main(folder: Path, names: list[str]) -> int:
    """Write all of them, and say which are missing and why."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = 0
    for name in names or MODELS:
        try:
            write(name, folder)
        except Exception as error:  # a package that is missing, or whose classes have changed
            missing += 1
            print(f"skipped {name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
        else:
            print(f"wrote {name}", flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
