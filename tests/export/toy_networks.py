"""Four tiny ONNX files with SAM2's inputs and outputs at 64 pixels: quick, and every input matters to the output.

A mask is where the picture is brighter than its mean, or darker: which one changes with the object and the frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

SIZE = 64
HEAD = '<ir_version: 8, opset_import: ["" : 18]>\n'

ENCODER = """
g (float[1,3,64,64] image) => (float[1,256,4,4] pix_feat, float[1,32,16,16] high_res_feat0,
   float[1,64,8,8] high_res_feat1, float[1,256,4,4] vision_feats, float[16,1,256] vision_pos_embed)
<int64[3] s = {16, 1, 256}, int64[4] eight = {1, 8, 1, 1}, float one = {1}>
{
  high_res_feat0 = Conv <kernel_shape = [6,6], strides = [4,4], pads = [1,1,1,1]> (image, patch)
  half = AveragePool <kernel_shape = [2,2], strides = [2,2]> (high_res_feat0)
  high_res_feat1 = Concat <axis = 1> (half, half)
  quarter = AveragePool <kernel_shape = [4,4], strides = [4,4]> (high_res_feat0)
  pix_feat = Tile (quarter, eight)
  vision_feats = Add (pix_feat, one)
  vision_pos_embed = Expand (one, s)
}"""

DECODER = """
g (float[objects,points,2] point_coords, float[objects,points] point_labels, float[objects,256,4,4] image_embed,
   float[1,32,16,16] high_res_feats_0, float[1,64,8,8] high_res_feats_1)
=> (float[objects,256] obj_ptr, float[objects,1,64,64] mask_for_mem, float[objects,1,16,16] pred_mask,
    float[objects,1] iou, float[objects,1] occ_logit)
<int64[2] last = {1, 2}, int64[2] hw = {2, 3}, int64[1] c = {1}, int64[3] chw = {1, 2, 3},
 float[4] up = {1, 1, 4, 4}, float tenth = {0.1}, float ten = {10},
 float hundredth = {0.01}, float bias = {0.5}>
{
  obj_ptr = ReduceMean <keepdims = 0> (image_embed, hw)
  level = ReduceMean (image_embed, chw)
  where_ = ReduceMean <keepdims = 0> (point_coords, last)
  kind = ReduceMean (point_labels, c)
  nudge0 = Mul (where_, hundredth)
  nudge1 = Add (nudge0, kind_flat)
  kind_flat = Squeeze (kind, c)
  nudge2 = Mul (nudge1, tenth)
  nudge = Unsqueeze (nudge2, chw)
  fine0 = ReduceMean (high_res_feats_0, c)
  centre = ReduceMean (high_res_feats_0, chw)
  fine = Sub (fine0, centre)
  shift = Add (level, nudge)
  phase = Mul (shift, ten)
  wave = Cos (phase)
  pred_mask = Mul (fine, wave)
  mask_for_mem = Resize <mode = "linear"> (pred_mask, , up)
  flat = Squeeze (level, hw)
  iou = Sigmoid (flat)
  occ_logit = Add (flat, bias)
}"""

# The decoder with a mask beside the clicks: the mask shifts the logits, and the candidates are shifted copies.
MASK_INPUTS = """float[1,64,8,8] high_res_feats_1,
   float[objects,1,16,16] mask_input, float[objects] has_mask_input)"""
CANDIDATES = """float[objects,1] occ_logit,
    float[objects,3,16,16] low_res_masks, float[objects,3] iou_predictions)"""
SHIFTED = """plain = Mul (fine, wave)
  given0 = Mul (has_mask_input, tenth)
  given = Unsqueeze (given0, chw)
  before = Mul (mask_input, given)
  pred_mask = Add (plain, before)
  darker = Sub (pred_mask, bias)
  lighter = Add (pred_mask, bias)
  low_res_masks = Concat <axis = 1> (darker, pred_mask, lighter)
  iou_predictions = Concat <axis = 1> (iou, occ_logit, iou)"""
PROMPTS = (
    DECODER.replace("float[1,64,8,8] high_res_feats_1)", MASK_INPUTS)
    .replace("float[objects,1] occ_logit)", CANDIDATES)
    .replace("pred_mask = Mul (fine, wave)", SHIFTED)
)

ATTENTION = """
g (float[1,256,4,4] current_vision_feat, float[16,1,256] current_vision_pos_embed, float[BATCH,pointers,256] memory_0,
   float[BATCH,frames,64,4,4] memory_1, float[BATCH,memory_tokens,64] memory_pos_embed, float cond_frame_id_diff)
=> (float[BATCH,256,4,4] image_embed)
<int64[1] one = {1}, int64[2] hw = {2, 3}, int64[2] tc = {1, 2}, int64[4] fchw = {1, 2, 3, 4}, int64[3] chw = {1, 2, 3},
 float hundredth = {0.01}>
{
  newest = ReduceMean <keepdims = 0> (memory_0, one)
  pointers_ = Unsqueeze (newest, hw)
  memories0 = ReduceMean <keepdims = 0> (memory_1, fchw)
  memories = Unsqueeze (memories0, chw)
  where0 = ReduceMean <keepdims = 0> (memory_pos_embed, tc)
  where_ = Unsqueeze (where0, chw)
  age = Mul (cond_frame_id_diff, hundredth)
  a = Add (current_vision_feat, pointers_)
  b = Add (a, memories)
  d = Add (b, where_)
  image_embed = Add (d, age)
}"""

MEMORY = """
g (float[BATCH,1,64,64] mask_for_mem, float[1,256,4,4] pix_feat, float[BATCH,1] occ_logit)
=> (float[BATCH,64,4,4] maskmem_features, float[BATCH,16,64] maskmem_pos_enc, float[7,1,1,64] temporal_code)
<int64[2] hw = {2, 3}, int64[1] zero = {0}, int64[1] end = {64}, int64[1] one = {1}, float tenth = {0.1},
 int64[2] tail = {16, 64}, int64[4] shape7 = {7, 1, 1, 64}>
{
  pooled = AveragePool <kernel_shape = [16,16], strides = [16,16]> (mask_for_mem)
  some = Slice (pix_feat, zero, end, one)
  seen = Unsqueeze (occ_logit, hw)
  mixed0 = Add (pooled, some)
  mixed1 = Mul (seen, tenth)
  maskmem_features = Add (mixed0, mixed1)
  rows = Shape <start = 0, end = 1> (mask_for_mem)
  whole = Concat <axis = 0> (rows, tail)
  maskmem_pos_enc = Expand (tenth, whole)
  temporal_code = Expand (codes, shape7)
}"""


def write(
    folder: Path, batch: str | int = "objects", metadata: dict[str, str] | None = None, *, prompts: bool = False
) -> Path:
    """The four files in `folder`, five with `prompts`; `batch` is the first dim of the memory modules."""
    random = np.random.default_rng(3)
    extra = {
        "image_encoder": {"patch": random.normal(size=(32, 3, 6, 6)) / 6},
        "memory_encoder": {"codes": np.linspace(0, 1, 7).reshape(7, 1, 1, 1)},
    }
    texts = {
        "image_encoder": ENCODER,
        "mask_decoder": DECODER,
        "memory_attention": ATTENTION,
        "memory_encoder": MEMORY,
    }
    if prompts:
        texts["mask_decoder_prompts"] = PROMPTS
        metadata = {**(metadata or {}), "mask_downsample": " ".join(["0.0625"] * 16 + ["-0.5"])}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        model = parser.parse_model(HEAD + text.replace("BATCH", str(batch)))
        for key, value in extra.get(name, {}).items():
            model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), key))
        for key, value in (metadata or {}).items():
            model.metadata_props.add(key=f"surgeon.{key}", value=value)
        onnx.save(model, folder / f"{name}.onnx")
    return folder


def frames(count: int, height: int = 40, width: int = 60) -> list[np.ndarray]:
    """Pictures of noise."""
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def write_clip(folder: Path) -> Path:
    """Six pictures in a folder, as `surgeon track` reads them."""
    from PIL import Image

    folder.mkdir()
    for index, frame in enumerate(frames(6, 41, 61)):
        Image.fromarray(frame).save(folder / f"{index:05d}.png")
    return folder
