"""Each app, on each server, for real: it paints what the kernel holds, every control works, all of it by keyboard."""

import base64

import numpy as np
import pytest
from subjects import SUBJECTS, Subject, same
from visits import ARTIFACTS


@pytest.fixture(scope="module", params=SUBJECTS, ids=["-".join(subject) for subject in SUBJECTS])
def subject(request, browser):
    server, notebook = request.param
    scheme = "dark" if server == "voila" else "light"
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    subject = Subject(request.getfixturevalue(server), notebook, context)
    yield subject
    subject.close()
    context.close()


def test_page_shows_what_the_kernel_holds(subject):
    subject.visit.come_to_rest()
    lattices_are_those_of_the_kernel(subject)
    pixels_are_the_palette_at_each_site(subject)
    plots_have_the_points_of_the_kernel(subject)


def lattices_are_those_of_the_kernel(subject) -> None:
    views = subject.visit.parts("lattice")
    shown = sorted(views.nth(i).get_attribute("data-checksum") for i in range(views.count()))
    held = subject.probe.ask("[[view.checksum(), len(view.marks) // 4] for view in _all(LatticeView)]")
    assert shown and shown == sorted(checksum for checksum, _ in held)
    marks = subject.visit.parts("marks").evaluate_all("nodes => nodes.map(node => Number(node.dataset.marks))")
    assert sorted(marks) == sorted(count for _, count in held)


def pixels_are_the_palette_at_each_site(subject) -> None:
    """The checksum speaks of bytes received; this looks at the colours on the canvas itself."""
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


def plots_have_the_points_of_the_kernel(subject) -> None:
    plots = subject.visit.look("plots")
    shown = sorted((plot["points"] for plot in plots), key=repr)
    points = "[[float(y) for y in trace.get('y', [])] for trace in plot.traces]"
    held = sorted(subject.probe.ask(f"[{points} for plot in _all(Plot)]"), key=repr)
    assert [[len(trace) for trace in plot] for plot in shown] == [[len(trace) for trace in plot] for plot in held]
    for ours, theirs in zip(shown, held, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)
    assert all(plot["drawn"] for plot in plots)


def test_every_control_by_keyboard_at_both_ends_and_start_twice(subject):
    """By keyboard to both ends and three steps back; from the kernel to where it started; after that to the ends again."""
    subject.visit.come_to_rest()
    controls = subject.controls()
    assert controls.keys() == subject.visit.look("controls").keys()
    for turn in ("as opened", "after a late edit"):
        for key, control in controls.items():
            for end in ("low", "high"):
                press(subject, key, control, end)
                subject.wait_for_value(key, control[end])
            if turn == "as opened" and control["kind"] != "switch":
                step_back(subject, key, control, steps=3)
            subject.edit(key, control["now"])
            subject.wait_for_value(key, control["now"])
            assert not subject.visit.complaints(), f"{key}, {turn}"


def press(subject, key: str, control: dict, end: str) -> None:
    """Move one control to an end, by keyboard alone."""
    field = subject.row(key).locator("input, select").first
    field.focus()
    if control["kind"] != "switch":
        subject.visit.page.keyboard.press({"low": "Home", "high": "End"}[end])
    elif field.is_checked() != control[end]:
        subject.visit.page.keyboard.press("Space")


def step_back(subject, key: str, control: dict, steps: int) -> None:
    """From where it stands, by arrow keys; page and kernel agree on the value there."""
    stands = subject.visit.look("controls")[key]
    steps = min(steps, stands)
    for _ in range(steps):
        subject.visit.page.keyboard.press("ArrowLeft" if control["kind"] == "range" else "ArrowUp")
    assert subject.visit.look("controls")[key] == stands - steps
    # What follows the first value is sent a frame later; until then page and kernel may agree on less than all steps.
    subject.visit.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert steps == 0 or not same(subject.wait_for_value(key), control["high"])


def test_player_runs_resets_and_steps_by_keyboard(subject):
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
    if button('[data-action="reset"]').is_visible():
        button('[data-action="reset"]').focus()
        visit.page.keyboard.press("Enter")
        visit.come_to_rest()
    steps = subject.probe.ask("[player.steps for player in _all(Player)]")
    button('[data-action="step"]').focus()
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("s")
    visit.come_to_rest()
    assert sum(subject.probe.ask("[player.steps for player in _all(Player)]")) == sum(steps) + 2
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


def test_nothing_left_the_machine_and_plotly_travelled_once(subject):
    assert not subject.visit.strangers()
    assert sum("plotly.min.js" in url for url in subject.visit.requests) == 1
    assert not subject.visit.complaints()
    largest = max(subject.visit.received)
    assert largest < 1_000_000, f"a websocket message of {largest} bytes: does plotly.js come from the kernel?"


def test_light_dark_and_on_a_phone(subject):
    """The system decides, the button overrules it; a phone needs no sideways scrolling; screenshots of each to look at."""
    visit, name = subject.visit, subject.notebook.removesuffix(".ipynb").replace("/", "-")
    ARTIFACTS.mkdir(exist_ok=True)
    visit.run(True)
    visit.wait_for_frames(60)
    visit.come_to_rest()
    visit.parts("app").first.scroll_into_view_if_needed()
    if subject.server.command == "lab":
        visit.page.screenshot(path=ARTIFACTS / f"jupyterlab-{name}.png")
        return
    assert visit.brightness() < 0.2
    visit.page.screenshot(path=ARTIFACTS / f"{name}-dark.png", full_page=True)
    visit.page.get_by_role("button", name="Light page").click()
    visit.come_to_rest()
    assert visit.brightness() > 0.8
    visit.page.screenshot(path=ARTIFACTS / f"{name}-light.png", full_page=True)
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.page.wait_for_timeout(700)
    visit.page.screenshot(path=ARTIFACTS / f"{name}-phone.png", full_page=True)
    wide = visit.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"on a phone the page is {wide} pixels wide"
    assert not visit.complaints()
