"""The passes, in the order they run. Adding one: a module here, a test, a line in PIPELINE."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module

from surgery.passes.plug_ins import PlugIns, load_plug_ins
from surgery.pipeline.rule import Pass
from verify.errors import SurgeonError
from verify.report import Check

PIPELINE: tuple[str, ...] = (
    "cleanup.names.misplaced_node",
    "cleanup.names.duplicate_tensor_name",
    "interface.undocumented_interface",
    "cleanup.names.shared_dim_name",
    "cleanup.constants.constant_node",
    "cleanup.idle.identity_node",
    "cleanup.constants.constant_if",
    "cleanup.constants.constant_loop",
    "cleanup.constants.known_shape_value",
    "cleanup.constants.constant_expression",
    "cleanup.constants.computed_reshape_shape",
    "cleanup.idle.no_op_node",
    "cleanup.idle.neutral_operand",
    "cleanup.constants.constant_where",
    "cleanup.constants.constant_where_mask",
    "speed.known_onehot",
    "cleanup.stacked.stacked_node",
    "cleanup.stacked.stacked_squeeze",
    "cleanup.idle.unit_transpose",
    "cleanup.stacked.stacked_shuffle",
    "cleanup.stacked.nested_concat",
    "cleanup.stacked.reshape_around_product",
    "cleanup.stacked.reshape_around_transpose",
    "cleanup.idle.only_element",
    "cleanup.constants.masked_constant",
    "cleanup.constants.zero_initial_state",
    "cleanup.constants.stored_quantization",
    "cleanup.idle.quantized_again",
    "cleanup.idle.repeated_quantization",
    "cleanup.constants.duplicate_initializer",
    "cleanup.idle.common_subexpression",
    "cleanup.idle.unused_node",
    "cleanup.constants.unused_initializer",
    "cleanup.names.nameless_node",
    "tensorrt.sequences.counted_loop",
    "tensorrt.sequences.omitted_loop_input",
    "tensorrt.pictures.affine_grid",
    "tensorrt.sequences.optional_value",
    "tensorrt.sequences.appending_loop",
    "tensorrt.sequences.known_sequence",
    "tensorrt.sequences.runtime_sequence_position",
    "tensorrt.sequences.split_of_free_length",
    "tensorrt.contrib.fused_convolution",
    "tensorrt.contrib.blocked_channels",
    "tensorrt.contrib.contrib_attention",
    "tensorrt.contrib.contrib_grouped_attention",
    "tensorrt.contrib.contrib_rotary_embedding",
    "tensorrt.quantized.sixteen_bit_quantization",
    "tensorrt.quantized.contrib_quantized",
    "tensorrt.quantized.contrib_quantized_product",
    "tensorrt.quantized.dynamic_quantized_lstm",
    "tensorrt.contrib.fused_activation",
    "tensorrt.contrib.fused_product",
    "tensorrt.contrib.fused_normalization",
    "tensorrt.quantized.dynamic_quantization",
    "tensorrt.sequences.function_operator",
    "tensorrt.operators.unsupported_attention",
    "tensorrt.arguments.runtime_reduce_axes",
    "tensorrt.arguments.runtime_squeeze_axes",
    "tensorrt.number_types.bool_reduction",
    "tensorrt.arguments.slice_without_axes",
    "tensorrt.arguments.squeeze_without_axes",
    "tensorrt.arguments.omitted_output",
    "tensorrt.number_types.float16_range",
    "tensorrt.number_types.integer_product",
    "tensorrt.number_types.einsum_of_integers",
    "tensorrt.number_types.einsum_letters",
    "tensorrt.arguments.activations_by_direction",
    "tensorrt.pictures.dilated_deconvolution",
    "tensorrt.number_types.bitwise_operator",
    "tensorrt.number_types.bit_shift",
    "tensorrt.number_types.float_modulo",
    "tensorrt.number_types.large_integer_modulo",
    "tensorrt.operators.cumulative_sum_axes",
    "tensorrt.number_types.half_mean",
    "tensorrt.number_types.lost_nan",
    "tensorrt.number_types.cast_of_or",
    "cleanup.idle.unread_output",
    "tensorrt.arguments.layernorm_outputs",
    "tensorrt.quantized.quantized_product",
    "tensorrt.quantized.moved_eight_bits",
    "tensorrt.quantized.unsigned_quantization",
    "tensorrt.quantized.shifted_quantization",
    "tensorrt.quantized.zero_point_pair",
    "tensorrt.quantized.asymmetric_quantization",
    "cleanup.idle.compared_limit",
    "tensorrt.quantized.eight_bit_constant",
    "tensorrt.pictures.unsupported_pooling",
    "tensorrt.pictures.unsupported_resize",
    "tensorrt.operators.fourier_transform",
    "tensorrt.operators.scatter_reduction",
    "tensorrt.operators.cumulative_product",
    "tensorrt.operators.vector_product",
    "tensorrt.operators.determinant",
    "tensorrt.arguments.batchnorm_training",
    "tensorrt.arguments.zero_ratio_dropout",
    "tensorrt.quantized.eight_bit_operator",
    "tensorrt.quantized.eight_bit_intermediate",
    "tensorrt.pictures.col2im",
    "tensorrt.pictures.deformable_convolution",
    "tensorrt.operators.tfidf_vectorizer",
    "tensorrt.operators.tensor_scatter",
    "tensorrt.pictures.max_unpool",
    "tensorrt.number_types.bit_cast",
    "tensorrt.operators.large_topk",
    "tensorrt.operators.counted_unique",
    "speed.decomposed_layernorm",
    "speed.decomposed_softmax",
    "speed.decomposed_gelu",
    "speed.slice_assignment",
    "speed.masked_assignment",
    "speed.rotation_product",
    "speed.decomposed_gemm",
    "speed.affine_after_convolution",
    "speed.transposed_product",
    "speed.product_of_channels",
    "speed.narrow_attention_values",
    "speed.three_dim_attention",
)


@cache
def _loaded() -> tuple[tuple[Pass, ...], PlugIns]:
    own = tuple(import_module(f"{__name__}.{module}").PASS for module in PIPELINE)
    return own, load_plug_ins(own)


def all_passes(given: Iterable[Pass] = ()) -> tuple[Pass, ...]:
    """Every pass: those listed in PIPELINE, those that packages offer as entry points `surgeon.passes`, then `given`.

    Raises:
        SurgeonError: two of them have the same code.
    """
    own, plug_ins = _loaded()
    found = {rule.code: rule for rule in (*own, *plug_ins.passes)}
    for rule in given:
        other = found.setdefault(rule.code, rule)
        if other is not rule:
            raise SurgeonError(
                f"passes: the code {rule.code} of '{rule.name}' is that of '{other.name}' too; choose another code"
            )
    return tuple(found.values())


def plug_in_failures() -> tuple[str, ...]:
    """One line for each plug-in that could not be loaded: its package, the file and line, and the error."""
    return _loaded()[1].failures


def plug_in_checks() -> list[Check]:
    """The same as checks of a report; empty when every plug-in was loaded."""
    return [Check("plug-in", "skip", f"not loaded, so its passes did not run: {text}") for text in plug_in_failures()]


def check_codes(codes: Iterable[str], passes: Iterable[Pass] | None = None) -> None:
    """Raise SurgeonError for a code, or the beginning of one, that no pass has; `passes` are all by default."""
    known = [rule.code for rule in (all_passes() if passes is None else passes)]
    for code in codes:
        if not any(name.startswith(code) for name in known):
            failed = "".join(f" (a plug-in was not loaded: {text})" for text in plug_in_failures())
            raise SurgeonError(f"no pass has the code '{code}'; see surgeon rules{failed}")
