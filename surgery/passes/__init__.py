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
    "cleanup.misplaced_node",
    "cleanup.duplicate_tensor_name",
    "interface.undocumented_interface",
    "cleanup.shared_dim_name",
    "cleanup.constant_node",
    "cleanup.identity_node",
    "cleanup.constant_if",
    "cleanup.constant_loop",
    "cleanup.known_shape_value",
    "cleanup.constant_expression",
    "cleanup.computed_reshape_shape",
    "cleanup.no_op_node",
    "cleanup.neutral_operand",
    "cleanup.constant_where",
    "cleanup.constant_where_mask",
    "speed.known_onehot",
    "cleanup.stacked_node",
    "cleanup.stacked_squeeze",
    "cleanup.unit_transpose",
    "cleanup.stacked_shuffle",
    "cleanup.nested_concat",
    "cleanup.reshape_around_product",
    "cleanup.reshape_around_transpose",
    "cleanup.only_element",
    "cleanup.masked_constant",
    "cleanup.zero_initial_state",
    "cleanup.stored_quantization",
    "cleanup.quantized_again",
    "cleanup.repeated_quantization",
    "cleanup.duplicate_initializer",
    "cleanup.common_subexpression",
    "cleanup.unused_node",
    "cleanup.unused_initializer",
    "cleanup.nameless_node",
    "tensorrt.counted_loop",
    "tensorrt.omitted_loop_input",
    "tensorrt.affine_grid",
    "tensorrt.optional_value",
    "tensorrt.appending_loop",
    "tensorrt.known_sequence",
    "tensorrt.runtime_sequence_position",
    "tensorrt.split_of_free_length",
    "tensorrt.fused_convolution",
    "tensorrt.blocked_channels",
    "tensorrt.contrib_attention",
    "tensorrt.contrib_grouped_attention",
    "tensorrt.contrib_rotary_embedding",
    "tensorrt.sixteen_bit_quantization",
    "tensorrt.contrib_quantized",
    "tensorrt.contrib_quantized_product",
    "tensorrt.dynamic_quantized_lstm",
    "tensorrt.fused_activation",
    "tensorrt.fused_product",
    "tensorrt.fused_normalization",
    "tensorrt.dynamic_quantization",
    "tensorrt.function_operator",
    "tensorrt.unsupported_attention",
    "tensorrt.runtime_reduce_axes",
    "tensorrt.runtime_squeeze_axes",
    "tensorrt.bool_reduction",
    "tensorrt.slice_without_axes",
    "tensorrt.squeeze_without_axes",
    "tensorrt.omitted_output",
    "tensorrt.float16_range",
    "tensorrt.integer_product",
    "tensorrt.einsum_of_integers",
    "tensorrt.einsum_letters",
    "tensorrt.activations_by_direction",
    "tensorrt.dilated_deconvolution",
    "tensorrt.bitwise_operator",
    "tensorrt.bit_shift",
    "tensorrt.float_modulo",
    "tensorrt.large_integer_modulo",
    "tensorrt.cumulative_sum_axes",
    "tensorrt.half_mean",
    "tensorrt.lost_nan",
    "tensorrt.cast_of_or",
    "cleanup.unread_output",
    "tensorrt.layernorm_outputs",
    "tensorrt.quantized_product",
    "tensorrt.moved_eight_bits",
    "tensorrt.unsigned_quantization",
    "tensorrt.shifted_quantization",
    "tensorrt.zero_point_pair",
    "tensorrt.asymmetric_quantization",
    "cleanup.compared_limit",
    "tensorrt.eight_bit_constant",
    "tensorrt.unsupported_pooling",
    "tensorrt.unsupported_resize",
    "tensorrt.fourier_transform",
    "tensorrt.scatter_reduction",
    "tensorrt.cumulative_product",
    "tensorrt.vector_product",
    "tensorrt.determinant",
    "tensorrt.batchnorm_training",
    "tensorrt.zero_ratio_dropout",
    "tensorrt.eight_bit_operator",
    "tensorrt.eight_bit_intermediate",
    "tensorrt.col2im",
    "tensorrt.deformable_convolution",
    "tensorrt.tfidf_vectorizer",
    "tensorrt.tensor_scatter",
    "tensorrt.max_unpool",
    "tensorrt.bit_cast",
    "tensorrt.large_topk",
    "tensorrt.counted_unique",
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
