"""What small integer tensors hold for every input: numbers, dims and polynomials of dims."""
