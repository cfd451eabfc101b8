"""The book, built with the outputs of one lecture: all is there, every link leads somewhere, nothing comes from outside."""

import doctest
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

import mlphys
from mlphys.lab import LatticeView, Plot, line, measured_table

ROOT = Path(__file__).parents[2]
COURSE = ROOT / "course"
sys.path.insert(0, str(ROOT / "book"))
LECTURES = sorted(path.stem for path in COURSE.glob("[0-9][0-9]_*.ipynb"))
DRAWN = "01_ising"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The book, its first lecture with outputs as if they had been drawn, the others without."""
    from figures import place

    out = tmp_path_factory.mktemp("book") / "site"
    notebook = nbformat.read(COURSE / f"{DRAWN}.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    plot = Plot(line([0, 1], [1, 2], name="up", colour=1), x="time", y="height", summary="It rises.")
    table = measured_table([("energy", (-1.41, 0.01), -1.414)])
    picture = LatticeView(np.eye(4, dtype=np.uint8), caption="a diagonal")
    for cell, markup in zip(cells, (plot.to_html(), table._repr_html_(), picture.to_html()), strict=False):
        cell.outputs = [nbformat.v4.new_output("execute_result", {"text/html": markup, "text/plain": ""}, execution_count=1)]
    kept = out.parent / ".site" / "drawn"
    kept.mkdir(parents=True)
    nbformat.write(notebook, kept / place(notebook, DRAWN, "ci"))
    command = [sys.executable, str(ROOT / "book"), "--size", "ci", "--only", DRAWN, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=220)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return out


def anchors(*pages: Path) -> set[str]:
    from links import Page

    return {anchor for page in pages for anchor in Page(page.read_text()).anchors}


def test_every_page_is_there(site):
    expected = {f"lectures/{name}" for name in LECTURES}
    expected |= {f"instructor/{path.stem}" for path in (COURSE / "instructor").glob("*.md")}
    expected |= {f"guides/{path.stem}" for path in (ROOT / "guides").glob("*.md")}
    expected |= {"index", "apps", "bibliography", "search", "project/readme", "api/index"}
    assert not [name for name in expected if not (site / f"{name}.html").is_file()]
    assert {path.stem[3:] for path in (COURSE / "dashboards").glob("*.ipynb")} <= anchors(site / "apps.html")
    index = (site / "index.html").read_text()
    assert not [name for name in LECTURES if f'class="card" href="lectures/{name}.html"' not in index]


def test_every_public_name_is_in_the_reference(site):
    known = anchors(*(site / "api").glob("*.html"))
    missing = {f"mlphys.{name}" for name in mlphys.__all__ if name not in mlphys._MODULES} - known
    missing |= {f"module-mlphys.{name}" for name in mlphys._MODULES} - known
    for home in mlphys._MODULES:
        module = import_module(f"mlphys.{home}")
        for name in getattr(module, "__all__", ()):
            elsewhere = f"mlphys.{name}" in known and getattr(mlphys, name) is getattr(module, name)
            if not elsewhere and not {f"mlphys.{home}.{name}", f"module-mlphys.{home}.{name}"} & known:
                missing.add(f"mlphys.{home}.{name}")
    assert not missing


def test_docstrings_come_out_as_they_are_meant(site):
    page = (site / "api" / "mlphys.lattices.html").read_text() + (site / "api" / "mlphys.html").read_text()
    assert "³ sites on the torus" in page and "`" not in re.sub(r"<(script|pre).*?</\1>", "", page, flags=re.DOTALL)


def test_drawn_lecture_shows_itself_without_a_kernel_or_a_network(site, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page, outside, errors = context.new_page(), [], []
    page.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or outside.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.goto((site / "lectures" / f"{DRAWN}.html").as_uri())
    figures = page.locator(".mlphys-static")
    figures.locator(".mlphys-plot[data-frame] path.js-line").wait_for(state="attached")
    assert figures.locator(".mlphys-plot").get_attribute("aria-label") == "height against time. up. It rises."
    assert page.get_by_role("img", name="a diagonal").evaluate("picture => picture.naturalWidth") == 4
    page.locator("mjx-container").first.wait_for()
    assert not outside and not errors
    colours = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(500)
        colours.append(figures.first.evaluate("box => box.querySelector('.xtick text').style.fill"))
        found = Axe().run(page).response["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical")]
        assert not grave, [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave]
    assert colours[0] != colours[1]
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not outside
    context.close()


def test_search_finds_a_sampler(site, browser):
    page = browser.new_page()
    page.goto((site / "search.html").as_uri() + "?q=Wolff")
    page.locator("#search-results li a", has_text="Wolff").first.wait_for()
    page.close()


def test_checker_sees_what_is_wrong(tmp_path):
    from links import faults

    (tmp_path / "good.html").write_text('<h1 id="top">x</h1><a href="#top">x</a><a href="https://doi.org/10.1/(2)">x</a>')
    assert not faults(tmp_path)
    wrong = {
        '<a href="gone.html">x</a>': "not there",
        '<a href="good.html#gone">x</a>': "not there",
        '<img src="gone.png">': "not there",
        '<a href="https://nowhere">x</a>': "no address",
        '<a href="htp://example.org">x</a>': "no address",
        '<script src="https://example.org/x.js"></script>': "from outside",
        '<link rel="stylesheet" href="//example.org/x.css">': "from outside",
    }
    for markup, words in wrong.items():
        (tmp_path / "bad.html").write_text(markup)
        assert words in " ".join(faults(tmp_path)), markup
    (tmp_path / "bad.html").unlink()
    (tmp_path / "bad.css").write_text("@import url(https://example.org/font.css);")
    assert "from outside" in " ".join(faults(tmp_path))


def test_bibliography_and_lectures_agree():
    from references import cites, entries, identifiers, names

    notebooks = [nbformat.read(COURSE / f"{name}.ipynb", as_version=4) for name in LECTURES]
    texts = ["\n".join(cell.source for cell in notebook.cells) for notebook in notebooks]
    known = {name for entry in entries().values() for name in names(entry)}
    assert not [name for text in texts for name in identifiers(text) if name not in known]
    assert not [key for key, entry in entries().items() if not any(cites(text, entry) for text in texts)]


def test_a_lecture_is_drawn_once(tmp_path, monkeypatch):
    import figures

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os\nprint(os.environ['MLPHYS_SIZE'])")])
    nbformat.write(notebook, tmp_path / "00_small.ipynb")
    first = figures.draw(tmp_path / "00_small.ipynb", "ci", tmp_path / "kept")
    monkeypatch.setattr(figures, "NotebookClient", None)
    second = figures.draw(tmp_path / "00_small.ipynb", "ci", tmp_path / "kept")
    assert first.cells[0].outputs[0].text == second.cells[0].outputs[0].text == "ci\n"
    monkeypatch.setattr(figures, "library", lambda: b"another")
    with pytest.raises(TypeError):
        figures.draw(tmp_path / "00_small.ipynb", "ci", tmp_path / "kept")


@pytest.mark.parametrize("name", ["api", "references"])
def test_examples(name):
    assert doctest.testmod(import_module(name)).failed == 0
