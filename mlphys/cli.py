"""The ``mlphys`` command: ``lab``, ``dashboards``, ``release``, ``check``, ``warm``, ``train`` and ``bench``."""

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SUBJECTS = ["ising", "fields", "phases"]
_LONG_SUBJECTS = ["wavefunctions", "selflearning", "diffusion", "energies", "gpu"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of ``mlphys`` and return its exit status.

    >>> main(["lab", "--port", "0"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if getattr(arguments, "port", 1) not in range(1, 65536):
        parser.error(f"--port is {arguments.port}, must be between 1 and 65535")
    try:
        return arguments.command(arguments) or 0
    except (FileNotFoundError, RuntimeError, ModuleNotFoundError, ValueError) as error:
        print(f"mlphys: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mlphys", description="Machine-learning physics, taught by doing.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(function, text):
        sub = commands.add_parser(function.__name__, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(command=function)
        return sub

    def served(sub, port, directory):
        sub.add_argument("directory", nargs="?", type=Path, default=directory, help=f"default {directory.name}/")
        sub.add_argument("--port", type=int, default=port, help=f"default {port}; the next free one if it is taken")
        sub.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1, this machine alone)")
        sub.add_argument("--no-browser", action="store_true", help="print the address instead of opening it")

    sub = command(lab, "open the course in JupyterLab")
    served(sub, 8888, ROOT / "course")
    sub.add_argument("--token", help="what the address must carry; empty for none (default: a new random one)")

    sub = command(dashboards, "serve the lecture apps alone, without code")
    served(sub, 8866, ROOT / "course" / "dashboards")
    sub.add_argument("--token", help="what visitors must bring (default: none on this machine, else a new random one)")
    sub.add_argument("--sessions", type=int, metavar="N", help="visitors at once (default: as many as the memory holds)")
    sub.add_argument("--memory", type=int, default=2000, metavar="MB", help="end kernels that take more (default 2000)")
    sub.add_argument("--idle", type=int, default=60, metavar="SECONDS", help="end abandoned kernels after (default 60)")
    sub.add_argument("--warm", nargs="+", default=[], metavar="NAME", help="keep a started kernel of these, or of all")
    sub.add_argument("--base-url", default="/", metavar="PREFIX", help="below which a proxy shows the pages (default /)")
    sub.add_argument("--name", default="", metavar="HOST", help="the name under which a proxy shows the pages")
    sub.add_argument("--tracebacks", action="store_true", help="show visitors what went wrong inside a kernel")

    sub = command(release, "write the course as handouts: for students, instructors, nbgrader, learning platforms")
    sub.add_argument("lectures", nargs="*", metavar="LECTURE", help="its number or name, as 01 or 01_ising (default: all)")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that is empty or does not exist yet")
    sub.add_argument("--slides", action="store_true", help="slides, too: this runs the notebooks, two minutes each")

    command(check, "see whether this installation can run the course")
    command(warm, "compile every kernel now, so that nobody waits later")
    sub = command(train, "train a wave function by a recipe")
    sub.add_argument("recipe", nargs="?", help="without it, the recipes are listed")
    sub.add_argument("--seed", type=int, default=1, help="default 1")
    sub.add_argument("--steps", type=int, help="steps in all (default: those of the recipe)")
    sub.add_argument("--checkpoint", type=Path, metavar="FILE", help="kept up to date, and gone on from where it exists")
    sub.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    sub.add_argument("--table", type=Path, metavar="FILE", help="append the result as a row to this CSV file")
    sub.add_argument("--save", type=Path, metavar="FILE", help="keep the wave function, for mlphys.recipes.load")
    sub = command(bench, "measure the samplers side by side with their peers")
    sub.add_argument(
        "subject", nargs="?", choices=[*_SUBJECTS, *_LONG_SUBJECTS], help=f"default: {', '.join(_SUBJECTS)}"
    )
    sub.add_argument("--quick", action="store_true", help="short runs: a look, no evidence")
    return parser


def lab(arguments: argparse.Namespace) -> None:
    from mlphys.lab import serve

    serve.lab(arguments.directory, arguments.port, arguments.host, not arguments.no_browser, arguments.token)


def dashboards(arguments: argparse.Namespace) -> None:
    from mlphys.lab import serve
    from mlphys.lab.voila.service import Service

    options = {name: value for name, value in vars(arguments).items() if name not in ("command", "no_browser")}
    serve.dashboards(Service(**options, browser=not arguments.no_browser))


def release(arguments: argparse.Namespace) -> None:
    from mlphys.lab.teaching.release import release

    files = release(arguments.out, arguments.lectures, slides=arguments.slides)
    for folder, n in Counter(path.relative_to(arguments.out).parts[0] for path in files).items():
        print(f"{arguments.out / folder}: {n} file{'s' if n > 1 else ''}")


def warm(arguments: argparse.Namespace) -> None:
    from multiprocessing import get_context

    # Two processes at once, each with kernels of its own; a second look compiles what the other one may have left.
    other = get_context("spawn").Process(target=_warm, args=(True,), daemon=True)
    other.start()
    _warm(continuous=False)
    other.join()
    _warm(continuous=True)


def _warm(continuous: bool) -> None:
    import torch

    import mlphys as mp

    mp.samplers.warm((continuous,))
    if continuous:
        square = mp.square(4)
        mp.phases.severed(mp.phases.percolation(square, [0.5], 1).x, square)
        for psi in (mp.nets.RBM(16), mp.nets.RBM(16, dtype=torch.complex128), mp.nets.Jastrow(16)):
            next(mp.vmc.ground_state(mp.TransverseIsing(square), psi, 1, samples=16))


def train(arguments: argparse.Namespace) -> int:
    from mlphys.recipes import RECIPES, train

    if arguments.recipe is None:
        for name, recipe in RECIPES.items():
            print(f"{name:{max(map(len, RECIPES)) + 2}}{recipe.network} · {recipe.system} · {recipe.steps} steps")
        return 0
    options = vars(arguments)
    return train(options.pop("recipe"), **{name: value for name, value in options.items() if name != "command"})


def check(arguments: argparse.Namespace) -> int:
    from mlphys.lab import doctor

    return doctor.report()


def bench(arguments: argparse.Namespace) -> int:
    subjects = [arguments.subject] if arguments.subject else _SUBJECTS
    scripts = [ROOT / "tests" / "benchmarks" / f"bench_{subject}.py" for subject in subjects]
    if not scripts[0].exists():
        raise FileNotFoundError(f"{scripts[0]} does not exist: benchmarks need a checkout of the repository")
    # One thread, for the samplers and for every library below them.
    single = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    options = ["--quick"] if arguments.quick else []
    runs = (subprocess.run([sys.executable, str(script), *options], env={**os.environ, **single}) for script in scripts)
    return max(run.returncode for run in runs)
