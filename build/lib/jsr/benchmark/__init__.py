"""Measuring: the input pipeline, the training step, and upscaling beside the same network in other libraries."""
