# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""Memory attention: conditions the current frame on past masks and object pointers.

Same values as sam2/modeling/memory_attention.py with `RoPEAttention` (one head), by this algebra:

* rotary encoding in real numbers (rope.py); keys are seen as [objects, frames, tokens, channels], so that one
  table of `tokens` rows serves every frame;
* softmax rows sum to one, so the value projection W_v and its bias can follow the weighted sum, and W_o W_v
  is one matrix. Hoisted behind the sum, it leaves the weighted sum over the memory 64 channels instead of 256;
  before it, query, key and value have equal widths and TensorRT can fuse the attention;
* the current frame is the same for every object until the first cross-attention, and is computed once.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from export.modules.layers import Affine, attend, attend_in_chunks, fold
from export.modules.rope import permute_rows, rotary_table, rotate
from verify.errors import SurgeonError

POINTER_TOKENS = 4
Table = tuple[Tensor, Tensor]
Form = Literal["fusable", "hoisted", "chunked"]


class Attention(nn.Module):
    """One-head rotary attention with the output projection folded into the value projection.

    `table` is cosine and signed sine of every token, as rope.py makes them.
    """

    bias: Tensor

    def __init__(self, attention: Any, hoist: bool, chunked: bool = False) -> None:
        super().__init__()
        if attention.num_heads != 1:
            raise SurgeonError(f"memory attention with {attention.num_heads} heads is not known; stock SAM2 has 1")
        self.query = Affine(*permute_rows(attention.q_proj, attention.internal_dim**-0.5))
        self.key = Affine(*permute_rows(attention.k_proj))
        folded = fold(attention.v_proj, attention.out_proj)
        self.value = folded if hoist else Affine(folded.weight, torch.zeros_like(folded.bias))
        self.hoist = hoist
        self.attend = attend_in_chunks if chunked else attend
        self.register_buffer("bias", folded.bias.clone())

    def weigh(self, query: Tensor, key: Tensor, memory: Tensor) -> Tensor:
        """Rotated query and key [..., tokens, C] over memory [..., tokens, M] to [..., tokens, out]."""
        if self.hoist:
            return self.value(self.attend(query, key, memory))
        return self.attend(query, key, nn.functional.linear(memory, self.value.weight)) + self.bias

    def self_attend(self, x: Tensor, table: Table) -> Tensor:
        """Self-attention over x [B, tokens, C]."""
        return self.weigh(rotate(self.query(x), *table), rotate(self.key(x), *table), x)

    def cross_attend(self, x: Tensor, frames: Tensor, pointers: Tensor, memory: Tensor, table: Table) -> Tensor:
        """x [B, tokens, C] over positioned keys [B, frames, tokens, M] and [B, pointers, M]; values `memory`."""
        key = torch.cat([rotate(self.key(frames), *table).flatten(1, 2), self.key(pointers)], dim=1)
        return self.weigh(rotate(self.query(x), *table), key, memory)


class Layer(nn.Module):
    """One stock `MemoryAttentionLayer`."""

    def __init__(self, layer: Any, form: Form) -> None:
        super().__init__()
        self.self_attention = Attention(layer.self_attn, hoist=form == "chunked")
        self.cross_attention = Attention(layer.cross_attn_image, form != "fusable", form == "chunked")
        self.norm1, self.norm2, self.norm3 = layer.norm1, layer.norm2, layer.norm3
        self.linear1, self.linear2 = layer.linear1, layer.linear2

    def forward(self, x: Tensor, frames: Tensor, pointers: Tensor, memory: Tensor, table: Table) -> Tensor:
        x = x + self.self_attention.self_attend(self.norm1(x), table)
        x = x + self.cross_attention.cross_attend(self.norm2(x), frames, pointers, memory, table)
        return x + self.linear2(torch.relu(self.linear1(self.norm3(x))))


class MemoryAttention(nn.Module):
    """Inputs and output as in the spec.

    `form` of the attention to the memory: "fusable" projects values before the weighted sum; "hoisted" after it;
    "chunked" after it too, for 512 queries at a time.
    """

    cos: Tensor
    sin: Tensor
    no_mem_embed: Tensor
    period: Tensor

    def __init__(self, model: Any, form: Form) -> None:
        super().__init__()
        self.feature = model.image_size // model.backbone_stride
        attention = model.memory_attention
        self.layers = nn.ModuleList(Layer(layer, form) for layer in attention.layers)
        self.norm = attention.norm
        cis = attention.layers[0].self_attn.compute_cis(end_x=self.feature, end_y=self.feature)
        cos, sin = rotary_table(cis)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)
        self.positioned = model.add_tpos_enc_to_obj_ptrs
        self.project = model.obj_ptr_tpos_proj
        self.width = model.hidden_dim
        self.register_buffer("no_mem_embed", model.no_mem_embed.detach().reshape(1, 1, -1).clone())
        pairs = model.hidden_dim // 2
        exponent = 2 * (torch.arange(pairs, dtype=torch.float32) // 2) / pairs
        self.longest = float(model.max_obj_ptrs_in_encoder - 1)
        self.register_buffer("period", 10000.0**exponent)

    def forward(
        self,
        current_vision_feat: Tensor,
        current_vision_pos_embed: Tensor,
        memory_0: Tensor,
        memory_1: Tensor,
        memory_pos_embed: Tensor,
        cond_frame_id_diff: Tensor,
    ) -> Tensor:
        x = current_vision_feat.flatten(2).transpose(1, 2) - self.no_mem_embed
        x = x + 0.1 * current_vision_pos_embed.transpose(0, 1)
        spatial = memory_1.flatten(3).transpose(2, 3)
        pointers = memory_0.reshape(memory_0.shape[0], -1, self.width // POINTER_TOKENS)
        memory = torch.cat([spatial.flatten(1, 2), pointers], dim=1)
        count = memory_1.shape[1] * self.feature**2
        frames = spatial + memory_pos_embed[:, :count].reshape(spatial.shape)
        if self.positioned:
            pointers = pointers + self._pointer_positions(cond_frame_id_diff, memory_0.shape[1])
        for layer in self.layers:
            x = layer(x, frames, pointers, memory, (self.cos, self.sin))
        return self.norm(x).transpose(1, 2).unflatten(2, (self.feature, self.feature))

    def _pointer_positions(self, first: Tensor, count: int) -> Tensor:
        """Sine encoding of the distances [first, 1, 2, ... count - 1] / 15, projected: [1, 4 * count, 64]."""
        steps = torch.arange(count, dtype=torch.float32)
        distance = torch.where(steps == 0, first, steps) / self.longest
        angle = distance.unsqueeze(-1) / self.period
        encoded = self.project(torch.cat([angle.sin(), angle.cos()], dim=-1))
        return encoded.unsqueeze(1).expand(-1, POINTER_TOKENS, -1).reshape(1, POINTER_TOKENS * count, -1)
