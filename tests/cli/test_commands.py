"""The dispatcher and `jsr doctor`."""

import os
from pathlib import Path
import shlex
import subprocess
import sys
import tomllib

import pytest

import jsr
from jsr import cli
from jsr.cli import doctor
from jsr.errors import DISTRIBUTION, install


def test_overview_lists_every_command_with_its_help(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    assert sorted(name for names in cli.GROUPS.values() for name in names) == list(cli.COMMANDS)
    for command in cli.COMMANDS:
        line = next(line for line in shown.splitlines() if line.startswith(f"  {command} "))
        assert len(line.split()) > 3


def test_version_and_unknown_command(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jsr {jsr.__version__}\n"
    assert cli.main(["evalute"]) == 2
    assert "no command 'evalute'; did you mean 'evaluate'" in capsys.readouterr().err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: jsr {command}" in capsys.readouterr().out


def test_module_and_script_are_the_same_thing():
    script = os.path.join(os.path.dirname(sys.executable), "jsr")
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout
               for command in ([sys.executable, "-m", "jsr", "--version"], [script, "--version"])]
    assert outputs[0] == outputs[1]


def test_a_closed_pipe_is_no_traceback():
    command = f"{shlex.quote(sys.executable)} -m jsr zoo edsr | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr and len(done.stdout.splitlines()) == 1


def test_doctor_says_what_is_there(tmp_path):
    done = subprocess.run([sys.executable, "-m", "jsr", "doctor"], capture_output=True, text=True,
                          env={**os.environ, "COLUMNS": "200", "JSR_DATA_DIR": "", "TFDS_DATA_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout
    assert f"{tmp_path}: " in done.stdout  # where builds go
    for text in ("jax", "libjpeg-turbo", "device 0", "convolution", "computes", "everything needed is there"):
        assert text in done.stdout
    torch_line = next(line for line in done.stdout.splitlines() if line.split()[0] == "torch")
    assert torch_line.split()[1][0].isdigit() or install("torch") in torch_line


@pytest.mark.parametrize("checkout", [True, False])
def test_doctor_wants_what_the_distribution_declares(checkout, tmp_path, monkeypatch):
    if not checkout:
        if not doctor._version(DISTRIBUTION):
            pytest.skip("jsr is not installed")
        monkeypatch.setattr(jsr, "__file__", str(tmp_path / "jsr" / "__init__.py"))
    required = doctor._required()
    assert {"jax", "numpy", "pyvips", "pyvips-binary"} <= set(required) and "torch" not in required


def test_doctor_knows_where_what_is_optional_comes_from():
    file = Path(jsr.__file__).parent.parent / "pyproject.toml"
    extras = tomllib.loads(file.read_text())["project"]["optional-dependencies"]
    for name, (_, command) in doctor.OPTIONAL.items():
        if f"{DISTRIBUTION}[" in command:
            extra = extras[command.split("[")[1].split("]")[0]]
            assert any(name in doctor._distributions(text) for text in extra), name


def test_doctor_fails_where_jax_cannot_compute():
    done = subprocess.run([sys.executable, "-m", "jsr", "doctor"], capture_output=True, text=True,
                          env={**os.environ, "JAX_PLATFORMS": "nonsense", "COLUMNS": "200"})
    assert done.returncode == 1
    assert "JAX cannot compute" in done.stdout and "broken: devices" in done.stdout and "Traceback" not in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may look into every folder")
@pytest.mark.parametrize("arguments", [
    ["degrade", "{}", "--out", "out", "--protocol", "aim22_t1"], ["fuse", "{}", "out.safetensors"],
    ["build", "photos", "--data_dir", "{}"]], ids=lambda arguments: arguments[0])
def test_a_closed_folder_is_one_line(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    assert cli.main([word.format(closed / "within") for word in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jsr {arguments[0]}: {closed / 'within'}") and "no permission" in line
    assert os.listdir(tmp_path) == ["closed"]


def test_a_command_s_process_does_not_search_for_cycles_where_it_imports_or_ends():
    code = """if True:
        import gc
        from jsr import command_line

        class Cycle:
            def __init__(self):
                self.own = self

            def __del__(self):
                print("searched")

        with command_line.importing():
            assert gc.isenabled()  # a program of somebody else's
        command_line.own_process()
        with command_line.importing():
            assert not gc.isenabled()
        assert gc.isenabled() and gc.get_freeze_count() > 1000
        Cycle()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
