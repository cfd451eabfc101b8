"""Each app, on each server, for real: it paints what the kernel holds, every control works, all of it by keyboard."""

import base64

import numpy as np
import pytest
from subjects import SUBJECTS, Subject
from visits import ARTIFACTS


@pytest.fixture(scope="module", params=SUBJECTS, ids=["-".join(subject) for subject in SUBJECTS])
def subject(request, browser):
    server, notebook = request.param
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    subject = Subject(request.getfixturevalue(server), notebook, context)
    yield subject
    subject.close()
    context.close()


def test_lattices_show_what_the_kernel_holds(subject):
    subject.visit.come_to_rest()
    views = subject.visit.parts("lattice")
    shown = sorted(views.nth(i).get_attribute("data-checksum") for i in range(views.count()))
    held = subject.probe.ask("[view.checksum() for view in _all(LatticeView)]")
    assert shown and shown == sorted(held)


def test_canvas_pixels_are_the_palette_at_each_site(subject):
    """The checksum speaks of bytes received; this looks at the colours on the canvas itself."""
    subject.visit.come_to_rest()
    canvas = subject.visit.parts("lattice").first
    shown = canvas.evaluate("canvas => look.pixels(canvas)")
    pixels = np.frombuffer(base64.b64decode(shown["data"]), np.uint8).reshape(shown["height"], shown["width"], 4)
    checksum = canvas.get_attribute("data-checksum")
    held = subject.probe.ask(
        f"next([view.array().tolist(), view.palette] for view in _all(LatticeView) if view.checksum() == {checksum!r})"
    )
    sites = np.array(held[0])
    palette = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in held[1]])
    scale = shown["height"] // sites.shape[0]
    assert (pixels.shape[0], pixels.shape[1]) == (scale * sites.shape[0], scale * sites.shape[1])
    assert np.array_equal(pixels[scale // 2 :: scale, scale // 2 :: scale, :3], palette[sites])


def test_marks_are_as_many_as_the_kernel_holds(subject):
    subject.visit.come_to_rest()
    shown = subject.visit.parts("marks").evaluate_all("nodes => nodes.map(node => Number(node.dataset.marks))")
    assert sorted(shown) == sorted(subject.probe.ask("[len(view.marks) // 4 for view in _all(LatticeView)]"))


def test_plots_show_the_points_that_the_kernel_holds(subject):
    subject.visit.come_to_rest()
    plots = subject.visit.look("plots")
    shown = sorted((plot["points"] for plot in plots), key=repr)
    points = "[[float(y) for y in trace.get('y', [])] for trace in plot.traces]"
    held = sorted(subject.probe.ask(f"[{points} for plot in _all(Plot)]"), key=repr)
    assert [[len(trace) for trace in plot] for plot in shown] == [[len(trace) for trace in plot] for plot in held]
    for ours, theirs in zip(shown, held, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)
    assert all(plot["drawn"] for plot in plots)


def drive(keyboard, row, control: dict, wanted: str, steps: int) -> None:
    """Move one control by keyboard alone: to its low end, its high end, or up from its low end by `steps`."""
    field = row.locator("input, select").first
    field.focus()
    if control["kind"] == "switch":
        if field.is_checked() != control[wanted]:
            keyboard.press("Space")
    elif wanted == "high":
        keyboard.press("End")
    else:
        keyboard.press("Home")
        for _ in range(steps if wanted == "now" else 0):
            keyboard.press("ArrowRight" if control["kind"] == "range" else "ArrowDown")


def test_every_control_by_keyboard_at_both_ends_and_start_twice(subject):
    """The second time after the kernel has moved every control."""
    subject.visit.come_to_rest()
    controls = subject.controls()
    steps = subject.visit.look("controls")
    assert controls.keys() == steps.keys()
    for turn in ("as opened", "after a late edit"):
        for key, control in controls.items():
            if turn == "after a late edit":
                subject.edit(key, control["high"])
                subject.wait_for_value(key, control["high"])
            for wanted in ("low", "high", "now"):
                drive(subject.visit.page.keyboard, subject.row(key), control, wanted, steps[key])
                subject.wait_for_value(key, control[wanted])
                assert not subject.visit.complaints(), f"{key} at {wanted}, {turn}"


def test_player_runs_steps_and_resets_by_keyboard(subject):
    visit = subject.visit
    visit.come_to_rest()
    button = visit.parts("player").first.locator
    button('[data-action="run"]').focus()
    visit.page.keyboard.press("Enter")
    visit.wait_for_player(True)
    visit.wait_for_frames(5)
    visit.page.keyboard.press("Enter")
    visit.wait_for_player(False)
    visit.come_to_rest()
    steps = subject.probe.ask("[player.steps for player in _all(Player)]")
    button('[data-action="step"]').focus()
    visit.page.keyboard.press("Enter")
    visit.come_to_rest()
    assert sum(subject.probe.ask("[player.steps for player in _all(Player)]")) == sum(steps) + 1
    if button('[data-action="reset"]').is_visible():
        button('[data-action="reset"]').focus()
        visit.page.keyboard.press("Enter")
    visit.come_to_rest()
    assert not visit.complaints()


def test_tab_reaches_every_control_and_each_has_a_name(subject):
    visit = subject.visit
    app = visit.parts("app").first
    app.evaluate("app => look.markOperable(app)")
    wanted = app.locator("[data-reached]").count()
    app.locator("button, input, select").first.focus()
    for _ in range(3 * wanted + 20):
        visit.look("reach")
        visit.page.keyboard.press("Tab")
    unreached = app.locator('[data-reached="no"]').evaluate_all("nodes => nodes.map(node => node.outerHTML.slice(0, 120))")
    assert wanted and not unreached
    tree = visit.page.context.new_cdp_session(visit.page)
    tree.send("DOM.getDocument")
    for i in range(wanted):
        node = app.locator("[data-reached]").nth(i)
        node.evaluate("node => window.looked = node")
        found = tree.send("Runtime.evaluate", {"expression": "window.looked"})["result"]["objectId"]
        answer = tree.send("Accessibility.getPartialAXTree", {"objectId": found, "fetchRelatives": False})["nodes"][0]
        assert answer["name"].get("value", "").strip(), f"no accessible name: {node.evaluate('node => node.outerHTML')}"


def test_screenshot_to_look_at(subject):
    subject.visit.run(True)
    subject.visit.wait_for_frames(30)
    subject.visit.come_to_rest()
    ARTIFACTS.mkdir(exist_ok=True)
    name = f"{subject.server.command}-{subject.notebook.removesuffix('.ipynb').replace('/', '-')}.png"
    subject.visit.parts("app").first.scroll_into_view_if_needed()
    subject.visit.page.screenshot(path=ARTIFACTS / name)


def test_nothing_left_the_machine_and_plotly_travelled_once(subject):
    assert not subject.visit.strangers()
    assert sum("plotly.min.js" in url for url in subject.visit.requests) == 1
    assert not subject.visit.complaints()
    largest = max(subject.visit.received)
    assert largest < 1_000_000, f"a websocket message of {largest} bytes: does plotly.js come from the kernel?"
