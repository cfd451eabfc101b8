"""The table of what lectures take, which ``python tests/notebooks/resources.py`` measures and writes."""

import pytest
from course_files import LECTURES
from resources import README, figures


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_a_lecture_runs_in_three_minutes_and_1_gb_on_one_thread(path):
    """Two minutes are what two cores may take."""
    seconds, megabytes = figures(README.read_text(), path.stem)
    assert 0 < seconds < 180 and 0 < megabytes < 1000
