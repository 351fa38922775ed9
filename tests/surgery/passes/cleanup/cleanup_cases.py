"""Small models for the clean-up passes: code, what is there before, and the operators left after that pass alone."""

# ruff: noqa: E501

from __future__ import annotations

import onnx

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'

# (code, case, model, operators of the main graph after the pass and the removal of what is unused)
CASES: list[tuple[str, str, str, list[str]]] = [
    ("SG001", "between nodes", "g (float[2] x) => (float[2] y) { a = Identity(x) y = Relu(a) }", ["Relu"]),
    ("SG001", "before an output", "g (float[2] x) => (float[2] y) { a = Relu(x) y = Identity(a) }", ["Relu"]),
    ("SG001", "a chain", "g (float[2] x) => (float[2] y) { a=Identity(x) b=Identity(a) c=Relu(b) y=Identity(c) }", ["Relu"]),
    ("SG001", "input to output stays", "g (float[2] x) => (float[2] y) { y = Identity(x) }", ["Identity"]),
    (
        "SG001",
        "two outputs of one tensor keep both names",
        "g (float[2] x) => (float[2] y, float[2] z) { a = Relu(x) y = Identity(a) z = Identity(a) }",
        ["Relu", "Identity"],
    ),
    ("SG002", "a dead chain", "g (float[2] x) => (float[2] y) { y = Relu(x) a = Neg(x) b = Abs(a) }", ["Relu"]),
    ("SG004", "read by a node", "g (float[2] x) => (float[2] y) { c = Constant<value_floats=[1.,2.]>() y = Add(x, c) }", ["Add"]),
    ("SG004", "an output stays made by a node", "g (float[2] x) => (float y) { y = Constant<value_float=1.>() }", ["Constant"]),
    (
        "SG005",
        "a chain of constants",
        "g (float[2] x) => (float[2] y) <float[2] a = {1,2}, float[2] b = {3,4}> { c=Mul(a,b) d=Exp(c) y=Add(x,d) }",
        ["Add"],
    ),
    (
        "SG005",
        "an output of the graph",
        "g (float[2] x) => (float[2] y) <float[2] a = {1,2}> { y = Neg(a) }",
        ["Constant"],
    ),
    ("SG005", "random stays", "g (float[2] x) => (float[2] y) <float[2] a={1,2}> { r=RandomNormalLike(a) y=Add(x,r) }", ["RandomNormalLike", "Add"]),
    (
        "SG005",
        "dequantize stays",
        "g (float[2] x) => (float[2] y) <int8[2] q={1,2}, float s={0.5}> { d=DequantizeLinear(q,s) y=Add(x,d) }",
        ["DequantizeLinear", "Add"],
    ),
    (
        "SG005",
        "too large stays",
        "g (float[1] x) => (float[200000] y) <int64[1] n={200000}> { z=ConstantOfShape(n) y=Add(x,z) }",
        ["ConstantOfShape", "Add"],
    ),
    (
        "SG006",
        "Shape with start and end",
        "g (float[n,3,4,5] x) => (int64[2] y) { s=Shape<start=1,end=3>(x) y=Mul(s,s) }",
        ["Constant"],
    ),
    ("SG006", "a free dim stays", "g (float[n,3] x) => (int64[1] y) { y=Shape<end=1>(x) }", ["Shape"]),
    (
        "SG006",
        "question marks are not equal",
        'g (float["?"] x, float["?"] z) => (bool[1] y) { a=Shape(x) b=Shape(z) y=Equal(a,b) }',
        ["Shape", "Shape", "Equal"],
    ),
    (
        "SG007",
        "copied batch",
        "g (float[n,12] x) => (float[n,3,4] y) <int64[2] t={3,4}> { s=Shape<end=1>(x) k=Concat<axis=0>(s,t) y=Reshape(x,k) }",
        ["Reshape"],
    ),
    (
        "SG007",
        "two free dims stay",
        "g (float[n,m] x) => (float[a,b] y) { s=Shape<end=1>(x) t=Shape<start=1>(x) k=Concat<axis=0>(t,s) y=Reshape(x,k) }",
        ["Shape", "Shape", "Concat", "Reshape"],
    ),
    ("SG008", "equal values", "g (float[1] x) => (float[1] y) <float[1] a={1}, float[1] b={1}> { c=Add(x,a) y=Mul(c,b) }", ["Add", "Mul"]),
    ("SG009", "equal nodes", "g (float[2] x) => (float[2] y) { a=Relu(x) b=Relu(x) c=Neg(a) d=Neg(b) y=Add(c,d) }", ["Relu", "Neg", "Add"]),
    ("SG009", "random differs", "g (float[2] x) => (float[2] y) { a=RandomNormalLike(x) b=RandomNormalLike(x) y=Add(a,b) }", ["RandomNormalLike", "RandomNormalLike", "Add"]),
    ("SG010", "Cast to the same", "g (float[2] x) => (float[2] y) { a=Cast<to=1>(x) y=Relu(a) }", ["Relu"]),
    ("SG010", "Cast to another", "g (float[2] x) => (float16[2] y) { y=Cast<to=10>(x) }", ["Cast"]),
    ("SG010", "Slice of all", "g (float[n] x) => (float[n] y) <int64[1] a={0}, int64[1] b={9223372036854775807}> { c=Slice(x,a,b) y=Relu(c) }", ["Relu"]),
    ("SG010", "Slice to the own dim", "g (float[n] x) => (float[n] y) <int64[1] a={0}> { b=Shape(x) c=Slice(x,a,b) y=Relu(c) }", ["Relu"]),
    ("SG010", "Slice of a part", "g (float[4] x) => (float[k] y) <int64[1] a={1}, int64[1] b={9}> { y=Slice(x,a,b) }", ["Slice"]),
    ("SG010", "Expand to the own shape", "g (float[n,2] x) => (float[n,2] y) { s=Shape(x) a=Expand(x,s) y=Relu(a) }", ["Relu"]),
    ("SG010", "Expand to a larger shape", "g (float[1,2] x, float[n] z) => (float[a,b] y) <int64[1] t={2}> { s=Shape(z) k=Concat<axis=0>(s,t) y=Expand(x,k) }", ["Shape", "Concat", "Expand"]),
    ("SG010", "Dropout", "g (float[2] x) => (float[2] y) { a,m=Dropout(x) y=Relu(a) }", ["Relu"]),
    ("SG010", "Dropout whose mask is read", "g (float[2] x) => (float[2] y, bool[2] m) { a,m=Dropout(x) y=Relu(a) }", ["Dropout", "Relu"]),
    ("SG010", "Pad by nothing", "g (float[2] x) => (float[2] y) <int64[2] p={0,0}> { a=Pad(x,p) y=Relu(a) }", ["Relu"]),
    ("SG010", "Concat of one", "g (float[2] x) => (float[2] y) { a=Concat<axis=0>(x) y=Relu(a) }", ["Relu"]),
    ("SG011", "Transposes", "g (float[2,3,4] x) => (float[4,2,3] y) { a=Transpose<perm=[0,2,1]>(x) y=Transpose<perm=[1,0,2]>(a) }", ["Transpose"]),
    ("SG011", "Reshapes", "g (float[6] x) => (float[3,2] y) <int64[2] s={2,3}, int64[2] t={3,2}> { a=Reshape(x,s) y=Reshape(a,t) }", ["Reshape"]),
    ("SG011", "Casts that lose nothing", "g (float16[2] x) => (double[2] y) { a=Cast<to=1>(x) y=Cast<to=11>(a) }", ["Cast"]),
    ("SG011", "Casts that lose bits", "g (float[2] x) => (float[2] y) { a=Cast<to=10>(x) y=Cast<to=1>(a) }", ["Cast", "Cast"]),
    ("SG011", "an Unsqueeze of a Reshape", "g (float[6] x) => (float[1,2,1,3] y) <int64[2] s={2,-1}, int64[2] t={0,-2}> { a=Reshape(x,s) y=Unsqueeze(a,t) }", ["Reshape"]),
    ("SG011", "an Unsqueeze of a Reshape that copies dims", "g (float[2,3] x) => (float[1,2,3] y) <int64[2] s={0,-1}, int64[1] t={0}> { a=Reshape(x,s) y=Unsqueeze(a,t) }", ["Reshape", "Unsqueeze"]),
    ("SG011", "an Unsqueeze of a Reshape that is read", "g (float[6] x) => (float[1,2,3] y, float[2,3] z) <int64[2] s={2,-1}, int64[1] t={0}> { a=Reshape(x,s) y=Unsqueeze(a,t) z=Neg(a) }", ["Reshape", "Unsqueeze", "Neg"]),
    ("SG021", "three in a row", "g (float[2,3] x, float[2,1] z) => (float[2,9] y) { a=Concat<axis=1>(x,z) b=Concat<axis=-1>(a,x) y=Concat<axis=1>(z,b,z) }", ["Concat"]),
    ("SG021", "along another axis", "g (float[2,3] x) => (float[4,6] y) { a=Concat<axis=1>(x,x) y=Concat<axis=0>(a,a) }", ["Concat", "Concat"]),
    ("SG021", "a first one that is read twice", "g (float[2,3] x) => (float[2,12] y) { a=Concat<axis=1>(x,x) y=Concat<axis=1>(a,a) }", ["Concat", "Concat"]),
    ("SG021", "a first one that is an output", "g (float[2,3] x) => (float[2,9] y, float[2,6] a) { a=Concat<axis=1>(x,x) y=Concat<axis=1>(a,x) }", ["Concat", "Concat"]),
    (
        "SG012",
        "constant condition, names inside meet names outside",
        "g (float[2] x) => (float[2] y) <bool c={1}> { b=Neg(x) y0=If(c)<then_branch=t()=>(float[2] a){ a=Relu(x) }, else_branch=e()=>(float[2] b1){ b1=Abs(b) }> y=Add(y0,b) }",
        ["Neg", "Relu", "Identity", "Add"],
    ),
    (
        "SG012",
        "runtime condition",
        "g (float[2] x, bool c) => (float[2] y) { y=If(c)<then_branch=t()=>(float[2] a){ a=Relu(x) }, else_branch=e()=>(float[2] b){ b=Abs(x) }> }",
        ["If"],
    ),
    (
        "SG013",
        "two iterations that carry and collect",
        "g (float[2] x) => (float[2] y, float[2,2] z) <int64 n={2}, bool c={1}> { y,z=Loop(n,c,x)<body=b(int64 i, bool d, float[2] s)=>(bool e, float[2] o, float[2] k){ e=Identity(d) o=Exp(s) k=Neg(o) }> }",
        ["Exp", "Neg", "Exp", "Neg", "Identity", "Unsqueeze", "Unsqueeze", "Concat"],
    ),
    (
        "SG013",
        "a body that may stop",
        "g (float[2] x) => (float[2] y) <int64 n={2}, bool c={1}, float[2] m={9,9}> { y=Loop(n,c,x)<body=b(int64 i, bool d, float[2] s)=>(bool e, float[2] o){ o=Exp(s) l=ReduceMax<keepdims=0>(o) h=ReduceMax<keepdims=0>(m) e=Less(l,h) }> }",
        ["Loop"],
    ),
    ("SG014", "always the first", "g (float[2] x, float[2] z) => (float[2] y) <bool c={1}> { a=Where(c,x,z) y=Relu(a) }", ["Relu"]),
    ("SG014", "the first is smaller", "g (float[1] x, float[2] z) => (float[2] y) <bool c={1}> { a=Where(c,x,z) y=Relu(a) }", ["Where", "Relu"]),
    ("SG015", "two tensors of one name", "g (float[2] x) => (float[2] y) { a=Exp(x) a=Neg(a) y=Abs(a) }", ["Exp", "Neg", "Abs"]),
    ("SG016", "no names", "g (float[2] x) => (float[2] y) { y=Relu(x) }", ["Relu"]),
    ("SG017", "out of order", "g (float[2] x) => (float[2] y) { y=Neg(a) a=Exp(x) }", ["Exp", "Neg"]),
    ("SG018", "one of each", "g (int64[1] x, int64[1] z) => (int64[2] y) <bool[2] c={0,1}, int64[2] k={3,4}> { a=Concat<axis=0>(x,z) b=Where(c,k,a) y=Neg(b) }", ["Concat", "Neg"]),
    ("SG018", "half of a part", "g (int64[2] x) => (int64[2] y) <bool[2] c={0,1}, int64[2] k={3,4}> { a=Concat<axis=0>(x) b=Where(c,k,a) y=Neg(b) }", ["Concat", "Where", "Neg"]),
    ("SG302", "one name for two dims", 'g (float["?"] x, float["?"] z) => (float[a] y) { y=Concat<axis=0>(x,z) }', ["Concat"]),
    (
        "SG020",
        "a Reshape first",
        """g (float[2,6,4,5] x) => (float[2,2,20,3] y) <int64[4] s={2,20,2,3}> {
          a=Transpose<perm=[0,2,3,1]>(x) b=Reshape(a, s) y=Transpose<perm=[0,2,1,3]>(b) }""",
        ["Reshape", "Transpose"],
    ),
    (
        "SG020",
        "a Transpose first",
        """g (float[2,3,4] x) => (float[3,8] y) <int64[2] s={8,3}> {
          a=Transpose<perm=[0,2,1]>(x) b=Reshape(a, s) y=Transpose<perm=[1,0]>(b) }""",
        ["Transpose", "Reshape"],
    ),
    (
        "SG020",
        "an order that needs all three",
        """g (float[6,4] x) => (float[12,2] y) <int64[2] s={2,12}> {
          a=Transpose<perm=[1,0]>(x) b=Reshape(a, s) y=Transpose<perm=[1,0]>(b) }""",
        ["Transpose", "Reshape", "Transpose"],
    ),
    (
        "SG020",
        "a free dim stays",
        """g (float[n,2,3] x) => (float[k,3,1] y) <int64[3] s={-1,1,3}> {
          a=Transpose<perm=[0,1,2]>(x) b=Reshape(a, s) y=Transpose<perm=[0,2,1]>(b) }""",
        ["Transpose", "Reshape", "Transpose"],
    ),
    (
        "SG019",
        "undone after the product",
        """g (float[2,6,4] x) => (float[3,4,5] y) <int64[2] s={12,4}, float[4,5] w={1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2}, float[5] b={1,2,3,4,5}, int64[3] z={3,-1,5}> {
          r=Reshape(x, s) m=MatMul(r, w) a=Add(b, m) y=Reshape(a, z) }""",
        ["MatMul", "Add", "Reshape"],
    ),
    (
        "SG019",
        "moved before the product",
        """g (float[2,3,2,2] x) => (float[1,3,2,3] y) <int64[3] s={2,3,4}, float[4,3] w={1,2,3,4,5,6,7,8,9,1,2,3}, int64[4] z={1,3,2,-1}> {
          r=Reshape(x, s) m=MatMul(r, w) y=Reshape(m, z) }""",
        ["Reshape", "MatMul"],
    ),
    (
        "SG019",
        "parts of a product",
        """g (float[2,3,4] x) => (float[6,1] p, float[3,2] q) <int64[2] s={6,4}, float[4,2] w={1,2,3,4,5,6,7,8}, int64[2] f={6,1}, int64[2] l={3,2}, int64[2] u={1,1}> {
          r=Reshape(x, s) m=MatMul(r, w) a,b=Split<axis=1>(m, u) p=Reshape(a, f) q=Reshape(b, l) }""",
        ["MatMul", "Split", "Reshape", "Reshape"],
    ),
    (
        "SG019",
        "an operand of the old shape stays",
        """g (float[2,2,2] x) => (float[2,2,2] y) <int64[2] s={4,2}, float[2,2] w={1,2,3,4}, float[4,1] b={1,2,3,4}, int64[3] z={2,2,2}> {
          r=Reshape(x, s) m=MatMul(r, w) a=Add(m, b) y=Reshape(a, z) }""",
        ["Reshape", "MatMul", "Add", "Reshape"],
    ),
    (
        "SG019",
        "a result that is an output stays",
        """g (float[2,2,2] x) => (float[2,2,2] y, float[4,2] m) <int64[2] s={4,2}, float[2,2] w={1,2,3,4}, int64[3] z={2,2,2}> {
          r=Reshape(x, s) m=MatMul(r, w) y=Reshape(m, z) }""",
        ["Reshape", "MatMul", "Reshape"],
    ),
    (
        "SG019",
        "a copied dim stays",
        """g (float[2,2,2] x) => (float[4,1,2] y) <int64[2] s={4,2}, float[2,2] w={1,2,3,4}, int64[3] z={0,-1,2}> {
          r=Reshape(x, s) m=MatMul(r, w) y=Reshape(m, z) }""",
        ["Reshape", "MatMul", "Reshape"],
    ),
    (
        "SG011",
        "Slices of different dims",
        """g (float[4,6] x) => (float[3,2] y) <int64[1] a={1}, int64[1] e={9}, int64[1] r={0}, int64[1] b={0}, int64[1] f={4}, int64[1] c={-1}, int64[1] s={2}> {
          p=Slice(x,a,e,r) y=Slice(p,b,f,c,s) }""",
        ["Slice"],
    ),
    (
        "SG011",
        "Slices of one dim stay",
        """g (float[6] x) => (float[2] y) <int64[1] a={1}, int64[1] e={5}, int64[1] r={0}> { p=Slice(x,a,e,r) q=Slice(p,a,e,r) y=Neg(q) }""",
        ["Slice", "Slice", "Neg"],
    ),
]  # fmt: skip

CLEAN = """
<ir_version: 8, opset_import: ["" : 17]>
clean (float[n, 4] x, bool c) => (float[n, 4] y) <float[4, 4] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}> {
  [first] a = MatMul(x, w)
  [second] y = If(c) <
    then_branch = t () => (float[m, 4] p) { [inner] p = Relu(a) },
    else_branch = e () => (float[k, 4] q) { [other] q = Neg(a) }
  >
}
"""


def model(text: str) -> onnx.ModelProto:
    """The model of a case; the parser wants the head once."""
    return onnx.parser.parse_model(text if "ir_version" in text else HEAD + text)
