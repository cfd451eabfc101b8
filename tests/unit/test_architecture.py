"""Imports point one way, nothing is compiled or loaded on import, and files stay short."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mlphys"
# Each layer may import those before it (and itself).
LAYERS = [
    ["checks"],
    ["kernels"],
    ["lattices", "random", "threads", "devices", "configurations"],
    ["hamiltonians", "exact"],
    ["stats", "state", "core"],
    ["samplers", "contract"],
    ["nets", "train"],
    ["vmc", "phases", "diffusion", "flows", "selflearning"],
    ["recipes"],
    ["sweeps"],
    ["lab"],
    ["lectures"],
    ["cli", "__main__"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def imported(path: Path):
    """Modules that a file imports, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "mlphys" and len(parts) > 1 and parts[1] in RANK:
            assert RANK[parts[1]] <= RANK[own], f"{own} imports {name}"
        if RANK[own] < RANK["lab"]:
            assert parts[0] not in ("ipywidgets", "anywidget", "plotly", "IPython", "voila", "jupyterlab"), name
        if own == "kernels":
            assert parts[0] in ("math", "numba", "numpy", "operator") or name.startswith("mlphys.kernels"), name


def test_import_is_light():
    script = "import mlphys, sys; print([m for m in ('torch', 'numba', 'pandas', 'numpy', 'IPython') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_public_name_loads():
    import mlphys

    for name in mlphys._HOME_OF:
        assert getattr(mlphys, name).__doc__, name


def test_library_stays_compact():
    lines = {path: len(path.read_text().splitlines()) for path in FILES}
    assert not {str(path): n for path, n in lines.items() if n > 420}
    library = [n for path, n in lines.items() if path.relative_to(PACKAGE).parts[0] not in ("lab", "lectures")]
    assert sum(library) < 17_000
