"""What is tested: every dashboard on Voila and in JupyterLab, and the workbench on both."""

import json
import time
from pathlib import Path

from servers import TOKEN, Probe, Server, fetch
from visits import Visit

DASHBOARDS = Path(__file__).parent.parent.parent / "course" / "dashboards"
NOTEBOOKS = ["workbench.ipynb", *sorted(path.name for path in DASHBOARDS.glob("*.ipynb"))]
SUBJECTS = [(server, notebook) for server in ("voila", "jupyterlab") for notebook in NOTEBOOKS]


class Subject:
    """A notebook open in a browser, and the kernel behind it."""

    def __init__(self, server: Server, notebook: str, context, **query: str):
        self.server, self.notebook = server, notebook
        self.visit = Visit(context, server.page(notebook, **query))
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
        """Of each control: its kind, what it holds now, and what it holds at its low and high end."""
        pairs = "[part, widget.values()[part['name']]]"
        parts = self.probe.ask(f"[{pairs} for widget in _all(Controls) for part in widget.specification]")
        ends = {"range": lambda p: (p["low"], p["high"]), "choice": lambda p: (p["options"][0], p["options"][-1])}
        found = {}
        for part, start in parts:
            low, high = ends.get(part["kind"], lambda _: (False, True))(part)
            found[part["name"]] = {"kind": part["kind"], "low": low, "high": high, "start": start}
        return found

    def wait_for_value(self, name: str, wanted, seconds: float = 10) -> None:
        """Wait until page and kernel agree that a control stands at `wanted`."""
        row = self.visit.page.locator(f'[data-mlphys="control"][data-name="{name}"]')
        deadline = time.monotonic() + seconds
        while True:
            shown, held = row.get_attribute("data-value"), self.controls()[name]["start"]
            if same(held, wanted) and same(wanted, shown):
                return
            assert time.monotonic() < deadline, f"{name} shall be {wanted}; the page shows {shown}, the kernel holds {held}"
            time.sleep(0.05)

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


def run_all_cells(visit: Visit) -> None:
    """Run every cell as a student does: by the menu."""
    visit.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
    visit.page.get_by_text("| Idle").wait_for(timeout=60_000)
    visit.page.get_by_role("menuitem", name="Run", exact=True).click()
    visit.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
