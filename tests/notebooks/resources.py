"""Runs every lecture as a student's machine on Binder would, and writes what it took into the README's table.

Size `lecture`, one thread, no process with more than 2 GB: ``python tests/notebooks/resources.py [01_ising …]``
"""

import os
import re
import sys

from course_files import LECTURES, ROOT
from test_execution import run

README = ROOT / "README.md"
GIGABYTES = 2
ROW = r"^(\| \[[^|]*\(course/{}\.ipynb\) \|.*\| \d+ \|)([^|]*)\|([^|]*)\|$"


def figures(text: str, slug: str) -> tuple[float, float]:
    """Seconds and megabytes of a lecture in the README; KeyError if it has no such row."""
    if not (row := re.search(ROW.format(slug), text, re.MULTILINE)):
        raise KeyError(slug)
    return float(row[2]), float(row[3])


def main(chosen: list[str]) -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    for path in LECTURES:
        if not chosen or path.stem in chosen:
            seconds, megabytes = run(path, size="lecture", seconds=600, limit=1000 * GIGABYTES)
            print(f"{path.stem}: {seconds:.0f} s, {megabytes:.0f} MB", flush=True)
            text = README.read_text()
            row = re.compile(ROW.format(path.stem), re.MULTILINE)
            README.write_text(row.sub(rf"\g<1> {seconds:.0f} | {megabytes:.0f} |", text))


if __name__ == "__main__":
    main(sys.argv[1:])
