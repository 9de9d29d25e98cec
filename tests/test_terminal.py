"""What commands print: nothing is cut, whatever the terminal says."""

import pytest
from rich.table import Table

from jsr import challenges, command_line, report, terminal
from jsr.cli import _output
from jsr.errors import UserError


@pytest.mark.parametrize("columns", ["40", "80", "300"])
def test_tables_and_lines_are_whole(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    table = Table("name [rgb]", title="scores")
    for number in range(6):
        table.add_column(f"PSNR[ntire23_script] {number}", no_wrap=True)
    table.add_row("x", *["1.0"] * 6)
    terminal.console().print(table)
    terminal.console().print("word " * 60)
    lines = capsys.readouterr().out.splitlines()
    assert all(f"PSNR[ntire23_script] {number}" in lines[2] for number in range(6)) and "name [rgb]" in lines[2]
    assert lines[-1].count("word") == 60


def test_the_table_of_a_run_names_its_scores(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    protocol = challenges.protocol("ais24")
    scores = dict.fromkeys(protocol.keys, 20.0)
    found = {"recipe": "a:b", "scale": 4, "images": [0], "codecs": "", "mean": {"lanczos": scores, "ours": scores}}
    terminal.console().print(report.table(found, protocol))
    assert "PSNR[ntire23_script]" in capsys.readouterr().out


def test_a_name_between_colons_is_no_emoji(capsys):
    terminal.console().print("a:smile:.png")
    assert capsys.readouterr().out == "a:smile:.png\n"


def test_names_in_files_do_not_take_the_terminal(capsys):
    name = "a\x1b[31mred\x1b]0;title\x07 \u202egnp.png\x9b2J"
    table = Table("name")
    table.add_row(name)
    terminal.console().print(table)
    terminal.console(stderr=True).print(name)

    def fail():
        raise UserError(f"\n{name}: is no picture\nwhat to do")

    assert command_line.in_lines("jsr", fail) == 1
    found = capsys.readouterr()
    for text in found:
        assert r"a\x1b[31mred\x1b]0;title\x07 \u202egnp.png\x9b2J" in text
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*text}
    assert found.err.endswith("is no picture\nwhat to do\n") and r"jsr: \na\x1b" in found.err  # only names are one line
    assert _output.ended("jsr", [UserError("a\nb.png: would be c\nd.png")], "", terminal.console()) == 1
    assert capsys.readouterr().err.splitlines()[0] == r"jsr: a\nb.png: would be c\nd.png"
