"""Export a small U-Net of one's own: `python export_segmenter.py [FOLDER]` writes FOLDER/segmenter.onnx.

The names and dims of inputs and outputs come from segmenter.toml, the same file the checks read.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import interpolate

from verify.interface.spec import Spec, load_spec

HERE = Path(__file__).resolve().parent


class Segmenter(nn.Module):
    """A photo to a score for each of 5 classes per pixel.

    image [photos, 3, 128, 128] -> logits [photos, 5, 128, 128], labels [photos, 128, 128] int64
    """

    def __init__(self, classes: int = 5, width: int = 16) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.GroupNorm(4, width), nn.GELU())
        self.coarse = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.GroupNorm(4, 2 * width), nn.GELU())
        self.head = nn.Conv2d(3 * width, classes, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fine = self.fine(image)
        half = interpolate(fine, scale_factor=0.5, mode="bilinear", antialias=True)
        coarse = interpolate(self.coarse(half), size=fine.shape[-2:], mode="bilinear")
        logits = self.head(torch.cat([fine, coarse], dim=1))
        return logits, logits.argmax(dim=1)


def export(model: nn.Module, spec: Spec, path: Path) -> None:
    """Write `model` to `path` with the names and the free dims of `spec`."""
    example = {port.name: torch.zeros(spec.shapes()[port.name]) for port in spec.inputs}
    free = {
        port.name: {axis: torch.export.Dim(dim) for axis, dim in enumerate(port.dims) if isinstance(dim, str)}
        for port in spec.inputs
    }
    program = torch.onnx.export(
        model.eval(),
        kwargs=example,
        input_names=[port.name for port in spec.inputs],
        output_names=[port.name for port in spec.outputs],
        dynamic_shapes=free,
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    program.save(str(path), external_data=False)


def main(folder: Path) -> None:
    spec = load_spec(HERE / "segmenter.toml")["segmenter"]
    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    export(Segmenter(), spec, folder / spec.file)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
