"""Exports small transformers and a convolutional network with random weights; run by the Python that has the packages.

    python onnxruntime_torch.py FOLDER

Needs torch and transformers; writes FOLDER/NAME.onnx by torch's old exporter, whose graphs onnxruntime's fusions know,
and beside each its inputs as NAME.npz. It imports nothing of surgeon, so that any environment may run it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

Made = tuple[nn.Module, dict[str, torch.Tensor]]
SIZES: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
PLAIN: dict[str, Any] = {"attn_implementation": "eager"}


class First(nn.Module):
    """A module of transformers that takes its inputs in order and gives its first output."""

    def __init__(self, inner: nn.Module, *names: str) -> None:
        super().__init__()
        self.inner, self.names = inner, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.inner(**dict(zip(self.names, inputs, strict=True)))[0]
        return made


class Network(nn.Module):
    """Convolutions, pools and a linear layer, with the activations and joins that are quantized one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.each, self.last = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Linear(32, 8)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        one = nn.functional.leaky_relu(self.first(image), 0.1)
        two = torch.sigmoid(self.second(one)) * one + self.each(one)
        pooled = nn.functional.avg_pool2d(torch.cat([two, one], 1), 2)
        return self.last(pooled.mean((2, 3))).softmax(-1)


def bert() -> Made:
    from transformers import BertConfig, BertModel

    ids = torch.randint(0, 99, (2, 12))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    return First(BertModel(BertConfig(vocab_size=99, **SIZES, **PLAIN)), *inputs), inputs


def vit() -> Made:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(image_size=32, patch_size=8, **SIZES, **PLAIN)
    return First(ViTModel(config), "pixel_values"), {"image": torch.randn(2, 3, 32, 32)}


def whisper() -> Made:
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=128, decoder_layers=1,
        decoder_attention_heads=4, num_mel_bins=16,
        max_source_positions=30, vocab_size=99, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, **PLAIN,
    )  # fmt: skip
    return First(WhisperModel(config).encoder, "input_features"), {"features": torch.randn(2, 16, 60)}


def t5() -> Made:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=99, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, **PLAIN)
    return First(T5EncoderModel(config), "input_ids"), {"input_ids": torch.randint(0, 99, (2, 12))}


def network() -> Made:
    return Network(), {"image": torch.randn(2, 3, 16, 16)}


MODELS: dict[str, Callable[[], Made]] = {"bert": bert, "vit": vit, "whisper": whisper, "t5": t5, "cnn": network}


def main(folder: Path) -> None:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        torch.manual_seed(0)
        module, inputs = make()
        np.savez(folder / f"{name}.npz", **{key: value.numpy() for key, value in inputs.items()})
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(folder / f"{name}.onnx"), input_names=list(inputs),
            dynamic_axes={key: {0: "batch"} for key in inputs}, opset_version=17, dynamo=False,
        )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
