"""How fast an app answers: first paint, frames per second, from slider to picture.

The goals are 5 s with a kernel in reserve and 15 s without, 30 frames/s and 100 ms, and the best of a few attempts must
reach them: each waits for a quiet machine, since what other programs take is not the app's. What was reached is printed.
"""

import itertools
import statistics

import pytest
from subjects import NOTEBOOKS, Subject
from visits import Visit, wait_for_a_quiet_machine

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_first_paint_with_a_warm_kernel_and_under_1_mb(warm, browser, notebook, record_property):
    """The first attempt finds a kernel in reserve; others wait until the reserve has come to rest."""
    attempts: list[float] = []
    while not attempts or (attempts[-1] >= 5 and len(attempts) < 5):
        if attempts or notebook == NOTEBOOKS[0]:
            warm.settle(len(NOTEBOOKS))
            wait_for_a_quiet_machine(busy=25, seconds=30)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        visit = Visit(context, warm.page(notebook))
        visit.wait_until_painted()
        attempts.append(max(visit.look("firstPaint").values()) / 1000)
        received = sum(visit.received)
        visit.close()
        context.close()
        assert received < 1_000_000, f"{received} bytes until the first paint"
    record_property("first_paint_s", attempts)
    print(f"{notebook}: first paint {attempts} s, {received} bytes")
    assert min(attempts) < 5


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_first_paint_with_a_cold_kernel(voila, browser, notebook, record_property):
    wait_for_a_quiet_machine(busy=25, seconds=30)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    visit = Visit(context, voila.page(notebook))
    visit.wait_until_painted()
    seconds = max(visit.look("firstPaint").values()) / 1000
    visit.close()
    context.close()
    record_property("first_paint_s", seconds)
    print(f"{notebook}: first paint {seconds:.1f} s")
    assert seconds < 15


@pytest.fixture(scope="module")
def running(warm, browser):
    """The workbench with its player running."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    warm.settle(len(NOTEBOOKS))
    subject = Subject(warm, "workbench.ipynb", context)
    subject.visit.run(True)
    yield subject
    subject.close()
    context.close()


def frame_rate(visit: Visit, seconds: float = 4) -> float:
    """Frames per second from the median distance of two."""
    times = visit.look("frameTimes", seconds)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    return 1000 / statistics.median(gaps) if gaps else 0.0


def test_live_lattice_at_256_squared_keeps_its_frame_rate(running, record_property):
    rates = []
    for _ in range(3):
        wait_for_a_quiet_machine(busy=75)
        rates.append(frame_rate(running.visit))
        if rates[-1] >= 30:
            break
    record_property("frames_per_second", rates)
    print(f"frames per second: {rates}")
    assert max(rates) >= 30


def test_slider_to_picture_while_it_runs(running, record_property):
    columns = running.probe.ask("workbench.ROWS")
    attempts = []
    for _ in range(3):
        wait_for_a_quiet_machine(busy=75)
        attempts.append(statistics.median(running.visit.look("sliderToPicture", columns) for _ in range(15)))
        if attempts[-1] < 100:
            break
    record_property("slider_to_picture_ms", attempts)
    print(f"slider to picture, ms: {attempts}")
    assert min(attempts) < 100
    assert not running.visit.complaints()


def test_a_flood_of_events_leaves_no_queue(running, record_property):
    """What the slider says last is on the screen as soon as after a single movement, however much it said before."""
    columns, attempts = running.probe.ask("workbench.ROWS"), []
    for _ in range(3):
        wait_for_a_quiet_machine(busy=75)
        events, late = running.visit.look("flood", columns)
        attempts.append(late)
        if late < 300:
            break
    record_property("flood_to_picture_ms", attempts)
    print(f"after {events} events in two seconds the last is on the screen in, ms: {attempts}")
    assert events > 500 and min(attempts) < 300
    assert not running.visit.complaints()


def test_it_keeps_it_beside_a_training(running, record_property):
    visit, rates = running.visit, []
    for _ in range(3):
        wait_for_a_quiet_machine(busy=75)
        visit.run(True, which=1)
        visit.wait_for_frames(10, "plot 2")  # by then torch is loaded
        rates.append(frame_rate(visit))
        visit.run(False, which=1)
        if rates[-1] >= 30:
            break
    record_property("frames_per_second_beside_a_training", rates)
    steps = running.probe.ask("[player.steps for player in _all(Player) if player.unit == 'steps/s']")
    print(f"frames per second beside a training: {rates}, after {steps} steps")
    assert max(rates) >= 30
    assert not visit.complaints()
