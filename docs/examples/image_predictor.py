"""Masks of objects in a single image with two of the ONNX files, as `SAM2ImagePredictor` gives them.

    surgeon export tiny --prompts
    python docs/examples/image_predictor.py checkpoints/tiny photo.jpg 120,80,360,400 mask.png

Needs NumPy, onnxruntime and Pillow. `predict` has the arguments and results of `SAM2ImagePredictor.predict`. Two
things are left to the caller: one object for each call, and for a single click the three masks
(`multimask_output=True`), as SAM2 advises; the file has no single mask for a single click.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from export.tracking.decoding import LOGIT_LIMIT
from export.tracking.images import normalise, resize_antialias, resize_logits
from export.tracking.modules import load

Array = np.ndarray[Any, np.dtype[Any]]


class ImagePredictor:
    """Encode an image once, then predict masks for as many prompts as wanted."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds image_encoder.onnx and mask_decoder_prompts.onnx."""
        self.modules = load(folder, memory=False)

    def set_image(self, image: Array) -> None:
        """uint8 RGB [height, width, 3]; scaled as `SAM2Transforms` does, bilinear with antialiasing."""
        size = self.modules.image_size
        scaled = np.stack([resize_antialias(image[..., c] / np.float32(255), size, size) for c in range(3)])
        self.features = self.modules.image_encoder({"image": normalise(scaled)})
        self.height, self.width = image.shape[:2]

    def predict(
        self,
        point_coords: Array | None = None,
        point_labels: Array | None = None,
        box: Array | None = None,
        mask_input: Array | None = None,
        multimask_output: bool = True,
    ) -> tuple[Array, Array, Array]:
        """Masks bool [n, height, width], qualities float32 [n] and logits float32 [n, S / 4, S / 4].

        n is 3, or 1 without `multimask_output`. Coordinates are pixels of the image; `mask_input` [1, S / 4, S / 4] are
        logits of an earlier call.
        """
        coords = np.zeros((0, 2)) if point_coords is None else np.asarray(point_coords)
        labels = np.zeros(0) if point_labels is None else np.asarray(point_labels)
        if box is not None:
            coords, labels = np.concatenate([np.reshape(box, (2, 2)), coords]), np.concatenate([[2, 3], labels])
        if len(labels) < 2 and not multimask_output:
            raise ValueError("a single click has three masks; use multimask_output=True and take the best")
        scale = self.modules.image_size / np.array([self.width, self.height], np.float32)
        fine = self.features["high_res_feat0"].shape[-1]
        assert self.modules.mask_decoder_prompts is not None
        out = self.modules.mask_decoder_prompts(
            {
                "point_coords": (coords * scale).astype(np.float32)[None],
                "point_labels": labels.astype(np.float32)[None],
                "image_embed": self.features["vision_feats"],
                "high_res_feats_0": self.features["high_res_feat0"],
                "high_res_feats_1": self.features["high_res_feat1"],
                "mask_input": np.zeros((1, 1, fine, fine), np.float32) if mask_input is None else mask_input[None],
                "has_mask_input": np.array([mask_input is not None], np.float32),
            }
        )
        logits = out["low_res_masks"][0] if multimask_output else out["pred_mask"][0]
        qualities = out["iou_predictions"][0] if multimask_output else out["iou"][0]
        masks = np.stack([resize_logits(one, self.height, self.width) > 0 for one in logits])
        return masks, qualities, np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)


def main(folder: str, picture: str, box: str, output: str) -> None:
    """Write the best mask of the object in `box` (X0,Y0,X1,Y1) as a picture."""
    from PIL import Image

    predictor = ImagePredictor(Path(folder))
    predictor.set_image(np.asarray(Image.open(picture).convert("RGB")))
    masks, qualities, _ = predictor.predict(box=np.array([float(x) for x in box.split(",")]))
    Image.fromarray(masks[int(np.argmax(qualities))].astype(np.uint8) * 255).save(output)


if __name__ == "__main__":
    main(*sys.argv[1:5])
