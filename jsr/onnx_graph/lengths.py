"""Lengths of axes, which may be open."""

from jax import export


def is_known(length):
    """Whether a length is a number."""
    return not export.is_symbolic_dim(length)


def is_one(length):
    """Whether a length is known to be 1."""
    return is_known(length) and length == 1
