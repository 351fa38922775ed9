"""Deterministic weights for machines that cannot get a checkpoint. They are not trained and track nothing.

Every tensor is made from the raw 64-bit stream of Philox 4x64-10 (Salmon et al., "Parallel random numbers:
as easy as 1, 2, 3", SC 2011), keyed by the SHA-256 of the tensor's name and a seed. NumPy guarantees that
stream; only integer sums, one float64 product and one rounding to float32 follow, so that the same bits come
out on every machine and under every version of NumPy and torch.

Scales keep activations of order one through every block: fan-in scaling, norms near identity, residual
branches damped. A few are set so that what the closed loop decides is not on an edge: mask logits have
a spread of about ten, as trained ones do, and the object score is well above zero.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

DEFAULT_SEED = 1

# (pattern of the name, mean, standard deviation); a deviation in fan-in units where the third field is "fan".
RULES: tuple[tuple[str, float, float, str], ...] = (
    (r"pred_obj_score_head\.layers\.2\.bias$", 6.0, 0.0, "plain"),
    (r"iou_prediction_head\.layers\.2\.bias$", 0.0, 1.0, "plain"),
    (r"positional_encoding_gaussian_matrix$", 0.0, 1.0, "plain"),
    (r"\.gamma$", 1.0, 0.1, "plain"),
    (r"(pos_embed|pos_embed_window)$", 0.0, 0.3, "plain"),
    (r"(maskmem_tpos_enc|no_mem_embed|no_mem_pos_enc|no_obj_ptr|no_obj_embed_spatial)$", 0.0, 0.5, "plain"),
    (r"(token|tokens|embed|embeddings\.\d)\.weight$", 0.0, 1.0, "plain"),
    (r"(norm\w*|\.encoder\.(1|4|7|10)|mask_downscaling\.(1|4)|output_upscaling\.1)\.weight$", 1.0, 0.1, "plain"),
    (r"bias$", 0.0, 0.1, "plain"),
    (r"(qkv|q_proj|k_proj)\.weight$", 0.0, 1.3, "fan"),
    (r"sam_mask_decoder\.transformer\.layers.*(self_attn|image_to_token)\.out_proj\.weight$", 0.0, 1.5, "fan"),
    (r"blocks\.\d+\.(attn\.proj|mlp\.layers\.1)\.weight$", 0.0, 0.4, "fan"),
    (r"(out_proj|linear2)\.weight$", 0.0, 0.6, "fan"),
    (r"memory_encoder\.mask_downsampler\.encoder\.12\.weight$", 0.0, 2.0, "fan"),
    (r"(neck\.convs\.\d\.conv|conv_s0|conv_s1|pix_feat_proj)\.weight$", 0.0, 0.6, "fan"),
    (r"output_hypernetworks_mlps\.\d\.layers\.2\.weight$", 0.0, 5.0, "fan"),
    (r"weight$", 0.0, 1.2, "fan"),
)


def standard(name: str, count: int, seed: int = DEFAULT_SEED) -> npt.NDArray[np.float64]:
    """`count` values of mean 0 and variance 1 for the tensor `name`: float64 [count].

    Each is the sum of the four 16-bit parts of one raw word (Irwin-Hall with n = 4: close to a Gaussian, cut at
    3.46), centred and scaled.
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    bits = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(count)
    parts = bits.view("<u2") if bits.dtype.byteorder != ">" else bits.byteswap().view("<u2")
    total = parts.reshape(count, 4).sum(axis=1, dtype=np.int64)
    centred: npt.NDArray[np.float64] = (total - 2 * 65535) * (math.sqrt(3.0) / 65536.0)
    return centred


def values(name: str, shape: tuple[int, ...], seed: int = DEFAULT_SEED) -> npt.NDArray[np.float32]:
    """The reference tensor `name` of a SAM2 state dict: float32 of `shape`."""
    matching = (rule[1:] for rule in RULES if re.search(rule[0], name))
    mean, deviation, kind = next(matching, (0.0, 0.5, "plain"))
    scale = deviation / math.sqrt(fan_in(name, shape)) if kind == "fan" else deviation
    filled = mean + scale * standard(name, math.prod(shape), seed)
    return filled.reshape(shape).astype(np.float32)


def fan_in(name: str, shape: tuple[int, ...]) -> int:
    """How many products one output sums up. A transposed convolution with stride = kernel sums over inputs."""
    if re.search(r"output_upscaling\.\d\.weight$", name):
        return shape[0]
    return math.prod(shape[1:]) if len(shape) > 1 else shape[0]


def fill(model: torch.nn.Module, seed: int = DEFAULT_SEED) -> None:
    """Overwrite every entry of the model's state dict (parameters and saved buffers) with reference values."""
    import torch

    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(torch.from_numpy(values(name, tuple(tensor.shape), seed)))
