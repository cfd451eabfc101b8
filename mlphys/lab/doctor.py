"""What ``mlphys check`` prints: can this installation run the course?"""

import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("numpy", "numba", "torch", "pandas", "jupyterlab", "voila", "anywidget", "plotly")


def report() -> int:
    """Print one line for each thing the course needs; return 0 if all of it is there, else 1."""
    failed = 0
    for name, look in CHECKS.items():
        try:
            print(f"ok      {name}: {look()}")
        except Exception as error:  # whatever is wrong with it, the next line still helps
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
    print("This installation can run the course." if not failed else f"{failed} of {len(CHECKS)} checks failed.")
    return 1 if failed else 0


def _packages() -> str:
    missing = []
    found = [f"Python {sys.version.split()[0]}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        raise ModuleNotFoundError(f"not installed: {', '.join(missing)}")
    return ", ".join(found)


def _physics() -> str:
    """Onsager's energy at T = 2 from a short Wolff run: kernels, exact answers and error bars in one number."""
    import mlphys as mp
    from mlphys.exact import ising

    lattice = mp.square(32)
    chain = mp.run(mp.Wolff(mp.Ising(lattice)), samples=2000, temperature=2.0, chains=4, seed=1)
    row = chain.report().loc["energy"]
    exact = ising.kaufman(32, 32, 2.0).energy
    deviation = (row["mean"] - exact) / row["error"]
    text = f"energy {row['mean']:.5f} ± {row['error']:.5f} J per site, exact {exact:.5f} ({deviation:+.1f} σ)"
    if abs(deviation) > 5:
        raise ArithmeticError(text)
    return text


def _plotly() -> str:
    from mlphys.lab.serve import plotly_folder

    return str(plotly_folder() / "plotly.min.js")


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none (not needed)"


CHECKS: dict[str, Callable[[], str]] = {"packages": _packages, "physics": _physics, "plotly.js": _plotly, "GPU": _gpu}
