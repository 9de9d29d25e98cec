"""The pages: links lead somewhere, commands and options exist, every public name is there, the site builds."""

import argparse
import importlib
import importlib.util
from pathlib import Path
import re
import subprocess
import sys
import types

import pytest

import jsr
from jsr import cli

TOP = Path(__file__).parent.parent
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "SECURITY.md", TOP / "benchmarks/README.md",
         *sorted((TOP / "docs").glob("*.md"))]
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())


def anchors(text):
    """The anchors of a page's headings, as GitHub and MyST make them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall("(?m)^#+ (.*)$", text)}


@by_page
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target.read_text()), link


def options(command):
    """The options of a command and of its subcommands, if it has any."""
    module, parser = importlib.import_module(f"jsr.cli.{command}"), argparse.ArgumentParser()
    module.add_arguments(parser)
    found, parsers = {"--help", "--import"}, [parser]
    while parsers:
        for action in parsers.pop()._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
    return found


@by_page
def test_commands_and_their_options_exist(page):
    text = page.read_text()
    lines = [line for block in re.findall(r"(?ms)^```(?:sh)?$(.*?)^```$", text) for line in block.splitlines()]
    shown = [line.partition(" #")[0] for line in lines] + re.findall(r"`(jsr [a-z]+[^`]*)`", text)
    for words in (line.split() for line in shown if line.startswith("jsr ")):
        if not re.fullmatch("[a-z]+", words[1]):  # jsr --help, jsr COMMAND
            continue
        assert words[1] in cli.COMMANDS, " ".join(words)
        wanted = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
        wanted = {word for word in wanted if not word.startswith("--config.")}
        assert not wanted - options(words[1]), " ".join(words)


def test_every_public_name_is_on_its_page():
    parts = re.split("(?m)^## ", (TOP / "docs/api.md").read_text())
    for name in dir(jsr):
        thing = getattr(jsr, name)
        if isinstance(thing, types.ModuleType):
            part = next(part for part in parts if part.startswith(f"jsr.{name}\n"))
            assert re.findall(r"(?m)^\| `(\w+)` \| \S", part) == thing.__all__
        else:
            assert f"`jsr.{name}`" in parts[0]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("needs Sphinx, MyST and furo: pip install '.[docs]'")
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "-E", "-d", tmp_path / "trees", TOP / "docs",
                           tmp_path / "site"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/reference/commands.html").exists()
