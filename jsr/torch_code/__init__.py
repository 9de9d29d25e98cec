"""Networks as PyTorch code: a module that reads as if written by hand, and its weights, from the trace of a chain."""
