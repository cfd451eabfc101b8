"""Slides say what the lecture says, show what its cells show, and ask nobody for anything."""

import json
import re
from html import unescape

import pytest
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from mlphys.lab import Plot, line, measured
from mlphys.lab.teaching.editions import Lecture, text
from mlphys.lab.teaching.release import COURSE
from mlphys.lab.teaching.slides import deck, shared

WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
LECTURES = sorted(COURSE.glob("[0-9][0-9]_*.ipynb"))


def words(markup: str) -> list[str]:
    """What a page says, without headings that are repeated, code, and marks."""
    unsaid = r"<(h\d) class=\"again\">.*?</\1>|<pre.*?</pre>|<a class=\"anchor-link\".*?</a>"
    return unescape(re.sub(r"<[^>]*>", " ", re.sub(unsaid, "", markup, flags=re.DOTALL))).split()


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_nothing_of_a_lecture_is_lost(path):
    notebook = json.loads(path.read_text())
    lecture = Lecture(path.stem, notebook)
    page = deck(lecture, [[]] * len(notebook["cells"]))
    body = page[page.index("<main>") : page.index("</main>")]
    said, wanted = words(body), []
    for at, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            wanted += words(markdown2html_mistune(text(cell)))
        elif at in lecture.exercises:
            wanted += words(markdown2html_mistune(lecture.exercises[at].statement))
    assert "".join(said) == "".join(wanted)
    slides = re.findall(r"<section .*?</section>", body, re.DOTALL)
    assert 10 < len(slides) == body.count("<section") < 80
    assert body.count("NotImplementedError") == len(lecture.exercises)
    assert not re.search(r"(src|href)=\"(https?:|//)[^\"]*\.(js|css|png|jpg|svg|woff)", page)


def test_outputs_stand_after_their_cells():
    cells = [
        {"cell_type": "markdown", "source": "# A lecture\n\nWords $x<1$."},
        {"cell_type": "code", "source": "lecture.app()"},
        {"cell_type": "code", "source": "Plot()"},
        {"cell_type": "code", "source": "measured()"},
        {"cell_type": "code", "source": "print(1 < 2)"},
    ]
    plot = Plot(line([0, 1], [1, 2], name="up"), x="time", y="height")
    app = {"output_type": "execute_result", "data": {**WIDGET, "text/plain": "LiveApp(children=())"}}
    figure = {"output_type": "execute_result", "data": {**WIDGET, "text/html": plot.to_html(), "text/plain": "Plot()"}}
    row = {"output_type": "execute_result", "data": {"text/html": measured("m", (0.7, 0.01), 0.71)._repr_html_()}}
    printed = {"output_type": "stream", "name": "stdout", "text": "a < b\n"}
    bar = {"output_type": "display_data", "data": {**WIDGET, "text/plain": "  0%|   | 0/3"}}
    warning = {"output_type": "stream", "name": "stderr", "text": "beware"}
    lecture = Lecture("01_ising", {"cells": cells, "metadata": {}})
    page = deck(lecture, [[], [app], [figure, bar], [row], [printed, warning]])
    parts = ("Words $x&lt;1$", "data:image/jpeg", '"var(--mlphys-0)"', "0.700(10)", "a &lt; b")
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert "beware" not in page and "0/3" not in page and page.count("currentScript") == 0
    error = {"output_type": "error", "ename": "Disagreement", "evalue": "9 σ"}
    with pytest.raises(ValueError, match="Disagreement"):
        deck(lecture, [[], [], [error], [], []])


def test_what_is_shared_is_all_that_a_page_asks_for():
    page = deck(Lecture("x", {"cells": [], "metadata": {}}), [])
    asked = set(re.findall(r"(?:src|href)=\"([^\"]+)\"", page))
    files = dict(shared())
    assert {f"slides/{name}" for name in asked} == set(files) and all(files.values())
