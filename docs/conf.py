"""The site of the documentation: `sphinx-build -W docs build/docs` ([docs]); pages under reference/ are made here."""

import argparse
import dataclasses
import importlib
from pathlib import Path
import re

import jsr
from jsr import catalogue, cli
from jsr.recipes import schema

HERE = Path(__file__).parent
TOP = HERE.parent
# Files at the top that are pages of the site, too
PAGES = {"SECURITY.md": "security", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changes",
         "benchmarks/README.md": "benchmarks"}

project, release, author = "jsr", jsr.__version__, "the authors of jsr"
extensions = ["myst_parser"]
exclude_patterns = ["conf.py"]
myst_heading_anchors = 3
html_theme, html_title = "furo", "jsr"
linkcheck_ignore = [r"http://127\.0\.0\.1"]


def setup(app):
    """Sphinx calls it."""
    app.connect("builder-inited", lambda app: write_reference(HERE / "reference"))
    app.connect("source-read", _linked)


def write_reference(folder):
    """Writes the pages that follow from the code."""
    folder.mkdir(exist_ok=True)
    made = {"commands": commands(), "recipe": recipe_keys(), "zoo": zoo()}
    made |= {name: (TOP / path).read_text() for path, name in PAGES.items()}
    for name, text in made.items():
        (folder / f"{name}.md").write_text(text)


def commands():
    """The help of every command."""
    lines = ["# Commands", ""]
    for name in cli.COMMANDS:
        module = importlib.import_module(f"jsr.cli.{name}")
        parser = argparse.ArgumentParser(prog=f"jsr {name}", description=module.__doc__,
                                         formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(parser)
        lines += [f"## jsr {name}", "", "```text", parser.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


def recipe_keys():
    """Every key of a recipe, a table for each part."""
    lines = ["# Keys of a recipe", "", "`jsr config RECIPE` prints them with the values of one.", ""]
    parts = [part for part in vars(schema).values() if dataclasses.is_dataclass(part) and part is not schema.About]
    for part in sorted(parts, key=lambda part: part is not schema.Recipe):
        lines += [f"## {part.__name__}", "", (part.__doc__ or "").partition("\n")[0], "", "| key | range | meaning |",
                  "|---|---|---|"]
        for field in dataclasses.fields(part):
            about = schema.about(part, field.name)
            bounds = ", ".join(filter(None, (about.unit, about.range())))
            lines.append(f"| `{field.name}` | {_cell(bounds)} | {_cell(about.text)} |")
        lines.append("")
    return "\n".join(lines)


def zoo():
    """The published methods, and recipes of our own, by challenge."""
    lines = ["# The zoo", "", "`jsr zoo NAME` explains one.", ""]
    entries = catalogue.entries()
    for challenge in sorted({entry.challenge for entry in entries}):
        lines += [f"## {challenge}", "", "| team | method | networks | recipe |", "|---|---|---|---|"]
        for entry in (entry for entry in entries if entry.challenge == challenge):
            method = entry.row.get("method") or entry.recipe.title
            name = f"`{entry.recipe.recipe}`" if entry.recipe else "not built yet"
            lines.append(f"| {_cell(entry.team)} | {_cell(method)} | {_cell(entry.shown_networks)} | {name} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text):
    return re.sub(r"([|<>*_$])", r"\\\1", str(text or ""))


def _linked(app, page, source):
    """Links between files of the repository become links between pages of the site."""
    here = (HERE / f"{page}.md").parent
    if page.startswith("reference/"):  # a copy of a file that lies elsewhere
        here = next(((TOP / path).parent for path, name in PAGES.items() if page == f"reference/{name}"), here)

    def page_of(match):
        target, _, anchor = match[1].partition("#")
        if "://" in target or not target:
            return match[0]
        path = (here / target).resolve()
        name = PAGES.get(path.relative_to(TOP).as_posix()) if path.is_relative_to(TOP) else None
        anchor = f"#{anchor}" if anchor else ""
        if name:
            return f"](/reference/{name}.md{anchor})"
        return f"](/{path.relative_to(HERE).as_posix()}{anchor})" if path.is_relative_to(HERE) else "](/rooms.md)"

    source[0] = re.sub(r"\]\(([^)\s]+)\)", page_of, source[0])
