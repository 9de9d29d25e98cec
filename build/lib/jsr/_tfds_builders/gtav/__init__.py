"""Frames of Grand Theft Auto V."""
