"""The public surface: `jsr` and the modules that it names. Each name is there, explained and typed."""

import inspect
from pathlib import Path
import subprocess
import sys
import tomllib
import types

import pytest

import jsr

MODULES = ["challenges", "convert", "degradations", "export", "losses", "metrics", "models", "recipes", "reparam"]


def public(module):
    """{name: object} of a module: what its `__all__` names, else the functions and classes that it defines."""
    if hasattr(module, "__all__"):
        return {name: getattr(module, name) for name in module.__all__}
    return {name: thing for name, thing in vars(module).items()
            if not name.startswith("_") and callable(thing) and getattr(thing, "__module__", "") == module.__name__}


def callables(module, path):
    """Yields (path, function or class) of a module, and of the modules that it names."""
    for name, thing in public(module).items():
        if isinstance(thing, types.ModuleType):
            yield from callables(thing, f"{path}.{name}")
        elif callable(thing):
            yield f"{path}.{name}", thing


def functions(path, thing):
    """Yields (path, function): itself, or a class's public methods, properties and call."""
    if not inspect.isclass(thing):
        yield path, thing
        return
    for name, member in vars(thing).items():
        function = member.fget if isinstance(member, property) else member
        written = inspect.isfunction(function) and function.__code__.co_filename == inspect.getfile(thing)
        if written and (not name.startswith("_") or name == "__call__"):
            yield f"{path}.{name}", function


def test_the_package_names_its_surface():
    assert jsr.__all__ == dir(jsr) == sorted(["__version__", "load", *MODULES])
    with pytest.raises(AttributeError, match="module 'jsr' has no attribute 'metric'"):
        _ = jsr.metric


def test_importing_a_name_imports_no_other():
    code = ("import sys, jsr; "
            "print(jsr.metrics.psnr.__name__, jsr.degradations.degrade.__name__, 'jax' in sys.modules); "
            "print(jsr.metrics.device.psnr.__name__, 'jax' in sys.modules, 'jsr.models' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "psnr degrade False\npsnr True False\n"


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_explained_and_typed(name):
    module = getattr(jsr, name)
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    found = dict(callables(module, f"jsr.{name}"))
    assert found
    for path, thing in found.items():
        assert inspect.getdoc(thing), f"{path}: no docstring"
        for where, function in functions(path, thing):
            assert_typed(where, function)


def test_the_type_checker_reads_the_surface():
    root = Path(jsr.__file__).parent.parent
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["pyright"]["include"]
    assert [path for path in listed if not (root / path).exists()] == []
    for name in MODULES:
        assert {f"jsr/{name}", f"jsr/{name}.py", f"jsr/{name}/__init__.py"} & set(listed), name


def test_load_is_explained_and_typed():
    assert inspect.getdoc(jsr.load)
    assert_typed("jsr.load", jsr.load)


def assert_typed(where, function):
    """Every argument and the result of a function have a type."""
    signature = inspect.signature(function)
    bare = [name for name, parameter in signature.parameters.items()
            if parameter.annotation is parameter.empty and name not in ("self", "cls")]
    assert not bare, f"{where}: no type for {', '.join(bare)}"
    assert signature.return_annotation is not signature.empty, f"{where}: no type for what it returns"
