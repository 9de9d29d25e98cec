"""The design of jsr's pages: one style sheet, `jsr.css`, for `jsr serve` and for pages that are files."""

from pathlib import Path

CSS = Path(__file__).with_name("jsr.css")
