"""The design of jsr's pages: one style sheet, `jsr.css`, for `jsr serve` and for pages that are files."""

import html
from pathlib import Path

CSS = Path(__file__).with_name("jsr.css")
_ZOOM = Path(__file__).with_name("zoom.js")


def standalone(title, body):
    """The text of a page that is one file, with design and script inside.

    Args:
      title: plain text.
      body: HTML; a `.linked` element's `.crop`s are zoomed and moved together.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{CSS.read_text(encoding="utf-8")}</style>
</head>
<body><main class="wide stack">
{body}
</main>
<script>
{_ZOOM.read_text(encoding="utf-8")}</script>
</body>
</html>
"""
