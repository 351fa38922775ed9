"""The passes, in the order they run. Adding one: a module here, a test, a line in PIPELINE."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from surgery.rule import Pass

PIPELINE: tuple[str, ...] = (
    "misplaced_node",
    "duplicate_tensor_name",
    "interface_names",
    "shared_dim_name",
    "constant_node",
    "identity_node",
    "constant_if",
    "constant_loop",
    "known_shape_value",
    "constant_expression",
    "computed_reshape_shape",
    "idle_node",
    "settled_choice",
    "piecewise_choice",
    "known_onehot",
    "stacked_node",
    "stacked_shuffle",
    "nested_concat",
    "reshape_around_product",
    "duplicate_initializer",
    "common_subexpression",
    "unused_node",
    "unused_initializer",
    "nameless_node",
    "declared_shape_operand",
    "compressed_rows",
    "surviving_boxes",
    "declared_positions",
    "declared_range",
    "declared_trip_count",
    "counted_loop",
    "affine_grid",
    "optional_value",
    "known_sequence",
    "runtime_sequence_position",
    "function_operator",
    "unsupported_attention",
    "runtime_reduce_axes",
    "runtime_squeeze_axes",
    "bool_reduction",
    "slice_without_axes",
    "omitted_output",
    "range_of_halves",
    "integer_product",
    "bitwise_operator",
    "bit_shift",
    "modulo_of_floats",
    "unread_output",
    "layernorm_outputs",
    "asymmetric_quantization",
    "quantized_product",
    "eight_bit_constant",
    "unsupported_pooling",
    "unsupported_resize",
    "runtime_resize",
    "fourier_transform",
    "scatter_reduction",
    "cumulative_product",
    "vector_product",
    "determinant",
    "batchnorm_training",
    "idle_dropout",
    "eight_bit_operator",
    "eight_bit_intermediate",
    "overlapping_patches",
    "deformable_convolution",
    "ngram_counts",
    "cache_update",
    "unpooled_maxima",
    "reinterpreted_bits",
    "written_layernorm",
    "written_softmax",
    "written_gelu",
    "slice_assignment",
    "masked_assignment",
    "rotation_product",
    "affine_after_convolution",
    "narrow_values",
    "flat_attention",
)


@cache
def all_passes() -> tuple[Pass, ...]:
    """Every pass: those listed in PIPELINE, then those that other packages offer as entry points `surgeon.passes`."""
    own = [import_module(f"{__name__}.{module}").PASS for module in PIPELINE]
    return (*own, *(point.load() for point in entry_points(group="surgeon.passes")))
