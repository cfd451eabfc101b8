"""How nbgrader makes and grades the assignments of a release."""

import os
import sys
from pathlib import Path
from typing import Any

from mlphys.lab.teaching.answers import BEGIN, END

CONFIGURATION = """from mlphys.lab.teaching.grading import configure

configure(get_config())
"""
"""nbgrader_config.py of a course."""
STUB = "raise NotImplementedError"


def configure(config: Any) -> None:
    """Set what nbgrader has to know, in its configuration object."""
    from nbgrader.converters import Autograde

    config.CourseDirectory.course_id = "mlphys"
    # The release that lies there already is what nbgrader makes itself when it enters an assignment into its gradebook.
    config.GenerateAssignment.force = True
    config.ClearSolutions.code_stub = {"python": STUB}
    config.ClearSolutions.begin_solution_delimeter, config.ClearSolutions.end_solution_delimeter = BEGIN, END
    config.OverwriteCells.add_missing_cells = True
    config.Execute.timeout = 300
    config.Autograde.sanitize_preprocessors = [*Autograde.sanitize_preprocessors.default_args[0], run_what_is_graded]
    os.environ.setdefault("MLPHYS_SIZE", "ci")
    # nbgrader starts alembic by its name, which nobody finds who has not activated the environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def run_what_is_graded(notebook: Any, resources: Any) -> tuple[Any, Any]:
    """A cell that is not run counts as right: whatever tags a submission carries, its graded cells are run."""
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.pop("tags", None)
    return notebook, resources
