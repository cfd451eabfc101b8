"""How fast an app answers: first paint, frames per second, from slider to picture, bytes. Thresholds are the issue's."""

import json
import statistics

import pytest
from subjects import NOTEBOOKS, Subject
from visits import Visit

FRAMES = """async seconds => {
    const canvas = document.querySelector('[data-mlphys="lattice"]');
    const times = [];
    const watch = new MutationObserver(() => times.push(performance.now()));
    watch.observe(canvas, { attributes: true, attributeFilter: ["data-frame"] });
    await new Promise(done => setTimeout(done, 1000 * seconds));
    watch.disconnect();
    return times;
}"""

# Moves the temperature slider by ten steps and waits until the ruler in the picture's first row says so.
LATENCY = """async () => {
    const canvas = document.querySelector('[data-mlphys="lattice"]');
    const slider = document.querySelector('[data-mlphys="control"][data-name="temperature"] input');
    const columns = 256;
    const ruler = () => {
        const scale = canvas.width / columns;
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1);
        let up = 0;
        for (let i = 0; i < columns; i++) up += data[4 * Math.floor((i + 0.5) * scale)] > 128;
        return up;
    };
    const step = slider.valueAsNumber > 50 ? -10 : 10;
    slider.value = slider.valueAsNumber + step;
    const began = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (ruler() !== slider.valueAsNumber) {
        if (performance.now() - began > 5000) return Infinity;
        await new Promise(requestAnimationFrame);
    }
    return performance.now() - began;
}"""


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
    times = visit.page.evaluate(FRAMES, seconds)
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
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
    attempts = []
    for _ in range(3):
        attempts.append(statistics.median(running.visit.page.evaluate(LATENCY) for _ in range(15)))
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
        painted = visit.page.evaluate("window.firstPaint")
        received = sum(size for _, size in visit.messages)
        visit.close()
        context.close()
        attempts.append(max(painted.values()) / 1000)
        assert received < 1_000_000, f"{received} bytes over the websocket until the first paint"
        if attempts[-1] < 5:
            break
    record_property("first_paint_s", attempts)
    print(f"{notebook}: first paint {attempts} s, {json.dumps(painted)}, {received} bytes")
    assert min(attempts) < 5
