"""How fast an app answers: first paint, frames per second, from slider to picture, bytes. Thresholds are the issue's."""

import itertools
import json
import statistics

import pytest
from subjects import NOTEBOOKS, Subject
from visits import Visit


@pytest.fixture(scope="module")
def running(voila, browser):
    """The workbench with its player running."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    subject = Subject(voila, "workbench.ipynb", context)
    subject.visit.run(True)
    yield subject
    subject.close()
    context.close()


def frame_rate(visit: Visit, seconds: float = 4) -> float:
    """Frames per second from the median distance of two."""
    times = visit.look("frameTimes", seconds)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    return 1000 / statistics.median(gaps) if gaps else 0.0


def test_live_lattice_at_256_squared_at_30_frames_per_second(running, record_property):
    rates = []
    for _ in range(3):
        rates.append(frame_rate(running.visit))
        if rates[-1] >= 30:
            break
    record_property("frames_per_second", rates)
    print(f"frames per second: {rates}")
    assert max(rates) >= 30


def test_under_100_ms_from_slider_to_picture_while_it_runs(running, record_property):
    columns = running.probe.ask("workbench.ROWS")
    attempts = []
    for _ in range(3):
        attempts.append(statistics.median(running.visit.look("sliderToPicture", columns) for _ in range(15)))
        if attempts[-1] < 100:
            break
    record_property("slider_to_picture_ms", attempts)
    print(f"slider to picture, ms: {attempts}")
    assert min(attempts) < 100
    assert not running.visit.complaints()


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_first_paint_under_5_s_and_1_mb_with_a_warm_kernel(voila, browser, notebook, record_property):
    attempts = []
    for _ in range(3):
        voila.settle(len(NOTEBOOKS))
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        visit = Visit(context, voila.page(notebook))
        visit.wait_until_painted()
        painted = visit.look("firstPaint")
        received = sum(visit.received)
        visit.close()
        context.close()
        attempts.append(max(painted.values()) / 1000)
        assert received < 1_000_000, f"{received} bytes over the websocket until the first paint"
        if attempts[-1] < 5:
            break
    record_property("first_paint_s", attempts)
    print(f"{notebook}: first paint {attempts} s, {json.dumps(painted)}, {received} bytes")
    assert min(attempts) < 5
