"""Slides in a browser without a network: keys, figures, formulas, both themes, and what axe-core says."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe

from mlphys.lab import Plot, line
from mlphys.lab.teaching.editions import Lecture
from mlphys.lab.teaching.release import COURSE
from mlphys.lab.teaching.slides import deck, shared


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """Lecture 01 with a figure where its first code is, from the disk."""
    lecture = Lecture("01_ising", json.loads((COURSE / "01_ising.ipynb").read_text()))
    outputs: list[list] = [[] for _ in lecture.notebook["cells"]]
    plot = Plot(line([0, 1], [1, 2], name="up", colour=1), x="time", y="height", summary="It rises.")
    outputs[lecture.first] = [{"output_type": "execute_result", "data": {"text/html": plot.to_html()}}]
    folder = tmp_path_factory.mktemp("kit")
    for name, content in [("slides/01_ising.html", deck(lecture, outputs).encode()), *shared()]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return (folder / "slides" / "01_ising.html").as_uri()


def test_slides_turn_by_keys_and_need_no_network(context, address):
    page = context.new_page()
    faults, asked = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("mjx-container svg", state="attached")
    place = page.locator("#place")
    count = page.locator("section").count()
    for key, at in [("ArrowRight", 2), ("Space", 3), ("PageDown", 4), ("ArrowLeft", 3), ("End", count), ("Home", 1)]:
        page.keyboard.press(key)
        assert place.text_content() == f"{at} / {count}"
        assert page.locator("section.now").count() == 1

    at = page.evaluate("sections.findIndex((section) => section.querySelector('.mlphys-static'))")
    page.evaluate("at => show(at)", at)
    page.wait_for_selector("section.now path.js-line", state="attached")
    page.keyboard.press("c")
    assert "import mlphys" in page.locator("section.now .code:visible").text_content()
    page.keyboard.press("c")
    assert not page.locator("section.now .code:visible").count()

    # Whatever stands on a slide, all of it is seen.
    page.wait_for_timeout(500)
    for n in range(count):
        page.evaluate("n => show(n)", n)
        assert page.evaluate("sections[now].scrollHeight") <= 540, f"slide {n + 1} is too full"
    assert not faults and all(url.startswith(("file:", "data:", "blob:")) for url in asked)

    # axe-core asks for the style sheet once more, which a page from the disk may not.
    for n, theme in ((at, "light"), (3, "dark")):
        page.emulate_media(color_scheme=theme)
        page.evaluate("n => show(n)", n)
        found = Axe().run(page).response["violations"]
        assert not found, [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
    page.keyboard.press("t")
    assert page.evaluate("document.body.dataset.jpThemeLight") == "true"
