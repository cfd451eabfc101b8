"""The three lists of dependencies agree, and the pinned set holds all of them."""

import re
import tomllib
from pathlib import Path

from mlphys.cli import _parser
from mlphys.lab.voila.service import KERNEL

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"pytorch": "torch", "pytorch-cpu": "torch"}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def from_conda(path: Path) -> set[str]:
    """Requirements of a conda environment file, under their PyPI names."""
    entries = re.findall(r"^  - ([a-z][\w.>=-]*)$", path.read_text(), re.MULTILINE)
    requirements = {e for e in entries if not re.match(r"(python|pip|conda-forge)\b(?!-)", e)}
    return {re.sub(r"^[a-z-]+", lambda m: CONDA_NAMES.get(m[0], m[0]), e) for e in requirements}


def test_environments_name_the_same_requirements():
    expected = {*project()["dependencies"], *project()["optional-dependencies"]["course"]}
    assert from_conda(ROOT / "environment.yml") == expected
    assert from_conda(ROOT / "binder/environment.yml") == expected


def test_constraints_pin_every_requirement():
    pins = dict(line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    extras = project()["optional-dependencies"].values()
    for requirement in [*project()["dependencies"], *(r for extra in extras for r in extra)]:
        assert re.match(r"[\w-]+", requirement)[0].lower() in pins, requirement
    # A local version such as +cpu names a build that no registry serves.
    assert not any("+" in pin for pin in pins.values())


def test_format_checker_that_slows_every_import_is_left_out():
    assert "rfc3987-syntax" not in (ROOT / "constraints.txt").read_text()


def test_recipe_of_systemd_starts_a_command_that_exists():
    recipe = (ROOT / "guides" / "serving" / "mlphys.service").read_text()
    (line,) = re.findall(r"^ExecStart=\S+/mlphys (.*)$", recipe, re.MULTILINE)
    arguments = _parser().parse_args(line.split())
    (most,) = re.findall(r"^MemoryMax=(\d+)G$", recipe, re.MULTILINE)
    assert arguments.host == "127.0.0.1" and arguments.sessions * KERNEL <= 1000 * int(most)
    proxied = re.findall(r"proxy_pass http://127\.0\.0\.1:(\d+);", (ROOT / "guides" / "serving" / "nginx.conf").read_text())
    assert set(proxied) == {str(arguments.port)}
    (name,) = re.findall(r"server_name (\S+);", (ROOT / "guides" / "serving" / "nginx.conf").read_text())
    assert arguments.name == name
