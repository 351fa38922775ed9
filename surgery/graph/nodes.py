"""onnx-graphsurgeon's nodes and tensors, compared by identity, beside the protobuf messages they were read from.

onnx-graphsurgeon compares nodes field by field and tensors by name, so that taking one out of a list is slow and can
hit the wrong one. In all other respects the classes here behave the same. `origin` holds the message an object was read
from, for the fields that onnx-graphsurgeon has no place for; objects made by passes have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import numpy_helper
from onnx_graphsurgeon.ir.tensor import LazyValues

from verify.errors import SurgeonError
from verify.model.external import read_external

CONSTANT_FORMS = {"value_float": "float32", "value_floats": "float32", "value_int": "int64", "value_ints": "int64"}


class Node(gs.Node):  # type: ignore[misc]
    """A node; `decoded` remembers the attribute values that `origin` was read into."""

    origin: onnx.NodeProto | None = None
    decoded: dict[str, Any]
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Variable(gs.Variable):  # type: ignore[misc]
    """A tensor whose values are known only at run time.

    default   the initializer of a graph input that has one, which callers may override
    snapshot  dtype and shape as last read or inferred; the exporter declares a new type where a pass has set another
    """

    origin: onnx.ValueInfoProto | None = None
    is_input = False
    snapshot_inferred = False
    snapshot: tuple[Any, ...] = (None, None)
    default: onnx.TensorProto | onnx.SparseTensorProto | None = None
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Constant(gs.Constant):  # type: ignore[misc]
    """A tensor with known values; `stored` holds the values as read, `info` its entry among the declared types."""

    stored: Stored | None = None
    info: onnx.ValueInfoProto | None = None
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Stored(LazyValues):  # type: ignore[misc]
    """Values of an initializer or tensor attribute, decoded when first asked for.

    Unlike its base class it decodes bfloat16, the float8, 4-bit and 2-bit types (as ml_dtypes arrays), sparse tensors,
    and external data, which it reads only from inside `folder`.
    """

    def __init__(self, tensor: onnx.TensorProto | onnx.SparseTensorProto, folder: str = "") -> None:
        self.tensor = tensor
        self.folder = folder
        self.sparse = isinstance(tensor, onnx.SparseTensorProto)
        inner = tensor.values if self.sparse else tensor
        self.shape = tuple(tensor.dims)
        self.dtype = dtype_of(inner.data_type)
        self.loaded: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Approximate bytes of the values in the file, for comparing sizes."""
        count = 1
        for dim in self.shape:
            count *= int(dim)
        return count * (self.dtype.itemsize if self.dtype is not None else 1)

    @property
    def external(self) -> bool:
        """Whether the values live in a file beside the model."""
        return not self.sparse and self.tensor.data_location == onnx.TensorProto.EXTERNAL

    def load(self) -> np.ndarray:
        """The values; SurgeonError where the file contradicts itself or leaves its folder."""
        if self.loaded is None:
            try:
                self.loaded = self._dense() if self.sparse else self._plain()
            except (ValueError, TypeError, KeyError, OverflowError, IndexError) as error:
                name = self.tensor.values.name if self.sparse else self.tensor.name
                raise SurgeonError(f"initializer '{name}': cannot be decoded ({error}); export it again") from None
            self.loaded.flags.writeable = False
        return self.loaded

    def _plain(self) -> np.ndarray:
        if not self.external:
            return np.array(numpy_helper.to_array(self.tensor))
        inline = onnx.TensorProto(name=self.tensor.name, data_type=self.tensor.data_type, dims=self.tensor.dims)
        inline.raw_data = read_external(self.tensor, self.folder)
        return np.array(numpy_helper.to_array(inline))

    def _dense(self) -> np.ndarray:
        values = numpy_helper.to_array(self.tensor.values)
        indices = numpy_helper.to_array(self.tensor.indices)
        dense = np.zeros(self.shape, values.dtype)
        if indices.ndim == 1:
            dense.reshape(-1)[indices] = values
        else:
            dense[tuple(indices.T)] = values
        return dense


def constant_of(tensor: gs.Tensor | None) -> np.ndarray | None:
    """The value of a constant tensor, else None. Loads lazily stored weights, so ask only where it is needed.

    Also None for sparse tensors, strings and references to a function's attributes in a Constant node.
    """
    if isinstance(tensor, gs.Constant):
        return np.asarray(tensor.values)
    if tensor is None or len(tensor.inputs) != 1 or tensor.inputs[0].op != "Constant":
        return None
    attributes = tensor.inputs[0].attrs
    if isinstance(attributes.get("value"), gs.Constant):
        return np.asarray(attributes["value"].values)
    for form, dtype in CONSTANT_FORMS.items():
        if isinstance(attributes.get(form), (int, float, list)):
            return np.asarray(attributes[form], dtype=dtype)
    return None


def static_shape_of(tensor: gs.Tensor | None) -> tuple[int, ...] | None:
    """The shape when every dim is a known number, else None."""
    shape = None if tensor is None else tensor.shape
    if shape is None or not all(isinstance(dim, (int, np.integer)) and dim >= 0 for dim in shape):
        return None
    return tuple(int(dim) for dim in shape)


def dtype_of(number: int) -> Any:
    """NumPy dtype of an ONNX element type (ml_dtypes where NumPy has none), or None for unknown ones."""
    try:
        return onnx.helper.tensor_dtype_to_np_dtype(number)
    except (KeyError, ValueError):
        return None


def number_of(dtype: Any) -> int:
    """ONNX element type of a dtype as `dtype_of` gives it; an int is taken to be one already; None gives 0."""
    if dtype is None:
        return 0
    return dtype if isinstance(dtype, int) else int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
