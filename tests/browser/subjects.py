"""What is tested: every dashboard on Voila, every lecture in JupyterLab, the workbench on both.

A dashboard is the app of its lecture, alone: what can break in it on one server and not on the other, the workbench shows.
"""

import json
import time
from pathlib import Path

from servers import TOKEN, Probe, Server, fetch
from visits import Visit

COURSE = Path(__file__).parent.parent.parent / "course"
NOTEBOOKS = ["workbench.ipynb", *sorted(path.name for path in COURSE.glob("dashboards/*.ipynb"))]
LECTURES = [f"lectures/{path.name}" for path in sorted(COURSE.glob("[0-9][0-9]_*.ipynb"))]
ON_VOILA = [("voila", notebook) for notebook in NOTEBOOKS]
SUBJECTS = [*ON_VOILA, *(("jupyterlab", notebook) for notebook in (NOTEBOOKS[0], *LECTURES))]


class Subject:
    """A notebook open in a browser, and the kernel behind it."""

    def __init__(self, server: Server, notebook: str, context):
        self.server, self.notebook = server, notebook
        self.visit = Visit(context, server.page(notebook))
        if server.command == "lab":
            run_all_cells(self.visit)
        self.visit.wait_until_painted()
        self.probe = Probe(server.kernels()[self._kernel_id()])

    def _kernel_id(self) -> str:
        return self._session()["kernel"]["id"] if self.server.command == "lab" else self.visit.look("kernelId")

    def _session(self) -> dict:
        sessions = json.loads(fetch(f"{self.server.base}/api/sessions?token={TOKEN}")[2])
        return next(session for session in sessions if session["path"] == self.notebook)

    def controls(self) -> dict[str, dict]:
        """Of each control, by number of its group and name: kind, what it holds now and at its ends, steps between them."""
        groups = self.probe.ask("[[widget.specification, widget.values()] for widget in _all(Controls)]")
        ends = {"range": lambda p: (p["low"], p["high"]), "choice": lambda p: (p["options"][0], p["options"][-1])}
        found = {}
        for i, (specification, values) in enumerate(groups):
            for part in specification:
                low, high = ends.get(part["kind"], lambda _: (False, True))(part)
                found[f"{i} {part['name']}"] = {"kind": part["kind"], "low": low, "high": high, "now": values[part["name"]]}
        return found

    def row(self, key: str):
        """The control on the page, by number of its group and name."""
        group, name = key.split()
        return self.visit.parts("controls").nth(int(group)).locator(f'[data-mlphys="control"][data-name="{name}"]')

    def edit(self, key: str, value) -> None:
        """Set a control from the kernel's side."""
        group, name = key.split()
        self.probe.run(f"setattr(_all(Controls)[{group}], {name!r}, {value!r})")

    def wait_for_value(self, key: str, wanted=None, seconds: float = 10):
        """Wait until page and kernel agree that a control stands at `wanted`, or on whatever value; return it."""
        group, name = key.split()
        deadline = time.monotonic() + seconds
        while True:
            shown, held = self.row(key).get_attribute("data-value"), self.probe.ask(f"_all(Controls)[{group}].{name}")
            if same(held, shown) and (wanted is None or same(held, wanted)):
                return held
            assert time.monotonic() < deadline, f"{key} shall be {wanted}; the page shows {shown}, the kernel holds {held}"
            time.sleep(0.02)

    def close(self) -> None:
        self.probe.close()
        if self.server.command == "lab":
            fetch(f"{self.server.base}/api/sessions/{self._session()['id']}?token={TOKEN}", method="DELETE")
        self.visit.close()


def same(value, other) -> bool:
    """Whether two values of a control are the same, whichever of them a page spelled as text."""
    if isinstance(value, bool):
        return str(value).lower() == str(other).lower()
    try:
        return abs(float(value) - float(other)) < 1e-9
    except ValueError:
        return str(value) == str(other)


def run_all_cells(visit: Visit, seconds: float = 120) -> None:
    """Run every cell as a student does, by the menu, and wait for the last."""
    visit.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
    visit.page.get_by_text("| Idle").wait_for(timeout=60_000)
    visit.page.get_by_role("menuitem", name="Run", exact=True).click()
    visit.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    visit.page.wait_for_function("look.allCellsHaveRun() || look.complaints().length", timeout=1000 * seconds)
    assert not visit.complaints()
