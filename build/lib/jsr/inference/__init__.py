"""Trained networks in use: model files, whole images."""
