"""Waterloo Exploration Database: 4744 images."""
