"""LSDIR: 84,991 + 250 images for restoration."""
