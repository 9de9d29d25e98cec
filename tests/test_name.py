"""The name on the package index: one place has it, what messages say follows, and no file says another's."""

from pathlib import Path
import re
import tomllib

from jsr import errors

ROOT = Path(__file__).parent.parent
WRONG = re.compile(r"jsr\[[a-z]|pip install (-U |--upgrade )?[\"'`]?jsr\b(?![-/])")  # a stranger's package
TEXTS = [path for pattern in ("*", ".ci/*", "benchmarks/**/*", "configs/**/*", "docs/**/*", "examples/**/*", "jsr/**/*",
                              "tests/**/*", "tfds_builders/**/*") for path in ROOT.glob(pattern)
         if path.suffix in (".py", ".md", ".toml", ".txt", ".sh", "") and path.is_file() and path != Path(__file__)]


def test_the_projects_file_has_the_name_that_messages_say():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == errors.DISTRIBUTION and list(project["scripts"]) == ["jsr"]
    own = [text for texts in project["optional-dependencies"].values() for text in texts
           if text.startswith(errors.DISTRIBUTION)]
    assert len(own) == 5
    assert errors.install() == f"pip install {errors.DISTRIBUTION}"
    assert errors.install("export", "openvino") == f'pip install "{errors.DISTRIBUTION}[export]" openvino'


def test_no_other_file_says_a_name():
    assert len(TEXTS) > 300
    assert not [path for path in TEXTS if WRONG.search(path.read_text(errors="replace"))]
    code = [path for path in TEXTS if path.suffix == ".py" and errors.DISTRIBUTION in path.read_text()]
    assert code == [ROOT / "jsr" / "errors.py"]
