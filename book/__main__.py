"""Builds the book: `python book` draws the lectures, writes the pages, runs Sphinx, and checks every link.

Nothing is fetched. Lectures are executed once for each state of their code and of the library, so that a second build takes
seconds; `--only 01_ising` executes one of them, and the others stand there without figures.
"""

import argparse
import sys
import time
from pathlib import Path

from figures import draw
from links import faults
from pages import write
from sphinx.cmd.build import build_main

HERE = Path(__file__).parent
ROOT = HERE.parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python book", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "book", help="folder of the site")
    parser.add_argument("--size", choices=("ci", "lecture", "full"), default="lecture", help="how much the lectures compute")
    parser.add_argument("--only", nargs="*", help="lectures to execute; the others are shown without their figures")
    arguments = parser.parse_args()
    began = time.monotonic()
    work = arguments.out.parent / f".{arguments.out.name}"
    lectures = sorted((ROOT / "course").glob("[0-9][0-9]_*.ipynb"))
    notebooks = {
        path.stem: draw(path, arguments.size, work / "drawn", arguments.only is None or path.stem in arguments.only)
        for path in lectures
    }
    write(work / "source", notebooks, arguments.size)
    line = ["-b", "html", "-W", "--keep-going", "-q", "-c", str(HERE), "-d", str(work / "doctrees")]
    if build_main([*line, str(work / "source"), str(arguments.out)]):
        return 1
    found = faults(arguments.out)
    print(*found, sep="\n", file=sys.stderr)
    if not found:
        print(f"The book: {arguments.out / 'index.html'}, built in {time.monotonic() - began:.0f} s.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
