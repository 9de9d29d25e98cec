"""Blocks with two or more users. Images and features are NHWC; nothing here imports jsr.models."""
