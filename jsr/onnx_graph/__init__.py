"""ONNX graphs, written from the trace of a JAX function."""

# px: graphs of open size take no smaller images, some networks pad those in a way of their own; JAX computes them
LEAST_SIDE = 32
