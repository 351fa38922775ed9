"""The values of small integer tensors (shapes, axes) that hold for every input: numbers and polynomials of dims."""
