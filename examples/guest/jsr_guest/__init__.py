"""Guests of jsr: each module here is named in a recipe, and nothing registers it."""
