"""Every lecture is built alike: a student who has seen one finds his way in all."""

import re

import pytest
from course_files import COURSE, DASHBOARDS, LECTURES, code, read, sections

from mlphys.lab.gallery import LEVELS, card, ways

# Words that the headings must contain, in this order.
PARTS = [
    "predict",
    "physics",
    "app",
    "build",
    "measured",
    "machine|learning|comparison|yardstick",
    "exercise",
    "paper",
    "summary",
    "references",
]
OPENING = {
    "the question": r"\bquestion\b",
    "how many minutes it takes": r"\d+\s*(min\b|minutes)|minutes\W+\d+",
    "what you will be able to do": r"you (will be|are) able to",
    "prerequisites": r"\bprerequisites?\b",
}
INSTRUCTOR = {
    "a minute plan": r"^#+ .*(minute|plan)",
    "misconceptions": r"^#+ .*misconception",
    "answers": r"^#+ .*(answer|solution)",
    "what to show if time is short": r"^#+ .*short",
}
LONGEST_CODE, LONGEST_TEXT = 12, 220

lectures = pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
dashboards = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def test_there_are_lectures():
    assert LECTURES


@lectures
def test_opening_says_what_awaits(path):
    title, cells = sections(read(path))[0]
    text = "\n".join(cell.source for cell in cells)
    assert text.startswith("# ") and title
    missing = [what for what, pattern in OPENING.items() if not re.search(pattern, text, re.IGNORECASE)]
    assert not missing, f"the opening does not say {missing}"


@lectures
def test_parts_come_in_order(path):
    headings = [heading for heading, _ in sections(read(path))[1:]]
    place = 0
    for part in PARTS:
        found = [i for i in range(place, len(headings)) if re.search(part, headings[i], re.IGNORECASE)]
        assert found, f"no heading with '{part}' after {headings[max(0, place - 1)]!r}; headings: {headings}"
        place = found[0] + 1


@lectures
def test_app_numbers_exercises_and_references_are_there(path):
    parts = sections(read(path))

    def of(word):
        return [cell for heading, cells in parts[1:] if re.search(word, heading, re.IGNORECASE) for cell in cells]

    assert ".app(" in code(of("app")), "the app's part shows no app"
    assert re.search(r"\bmeasured(_table)?\(", code(of("measured"))), "nothing is measured against an exact value"
    statements = "\n".join(cell.source for cell in of("exercise") if cell.cell_type == "markdown")
    exercises = len(re.findall(r"^### ", statements, re.MULTILINE))
    fewest = 3 if path.stem == "00_welcome" else 4  # the tour is short
    assert exercises >= fewest, f"{exercises} exercises (headings of level three)"
    references = "\n".join(cell.source for cell in of("references"))
    assert re.search(r"doi[.:]\S*10\.\d{4}", references, re.IGNORECASE), "no reference carries a DOI"


@lectures
def test_cells_are_short(path):
    for cell in read(path).cells:
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if cell.cell_type == "code":
            assert len(lines) <= LONGEST_CODE, f"{len(lines)} lines of code: {lines[0]} …"
        else:
            words = len(cell.source.split())
            assert words <= LONGEST_TEXT, f"{words} words: {lines[0]} …"


@pytest.mark.parametrize("path", [*LECTURES, *DASHBOARDS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_saved_without_outputs_widgets_or_anything_from_outside(path):
    notebook = read(path)
    assert "widgets" not in notebook.metadata
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert not cell.get("outputs"), f"an output is saved: {cell.source[:60]!r}"
        assert cell.get("execution_count") is None
        assert cell.get("id")
        assert not re.search(r"^\s*[!%]", cell.source, re.MULTILINE) or cell.cell_type == "markdown", cell.source
        assert not re.search(r"(src=[\"']|!\[[^\]]*\]\()https?:", cell.source), f"loads from outside: {cell.source[:80]!r}"


@lectures
def test_lecture_has_dashboard_and_instructor_page(path):
    assert (COURSE / "dashboards" / path.name).exists()
    page = (COURSE / "instructor" / f"{path.stem}.md").read_text(encoding="utf-8")
    missing = [what for what, pattern in INSTRUCTOR.items() if not re.search(pattern, page, re.IGNORECASE | re.MULTILINE)]
    assert not missing, f"the instructor's page has no heading for {missing}"


@dashboards
def test_dashboard_is_the_app_alone(path):
    notebook = read(path)
    assert len(notebook.cells) <= 3
    assert ".app(" in code(notebook.cells)
    assert notebook.metadata.get("title"), "metadata.title is the title of the page"


def test_first_page_leads_to_every_lecture():
    notebook = read(COURSE / "index.ipynb")
    text = "\n".join(cell.source for cell in notebook.cells)
    rows = re.findall(r"\]\(([\w.]+\.ipynb)\) \|.*\| (\d+) \| (\w+) \|$", text, re.MULTILINE)
    cards = [card(path) for path in DASHBOARDS]
    assert rows == [(f"{each.slug}.ipynb", str(each.minutes), each.level) for each in cards]
    assert len(rows) == len(LECTURES) and not any(cell.get("outputs") for cell in notebook.cells)


def test_ways_through_the_course_name_lectures_that_exist():
    found = ways(COURSE / "dashboards")
    named = {part for _, parts in found for part in parts[1::2]}
    assert len(found) >= 4 and named <= {path.stem[:2] for path in LECTURES} and {"00", "01"} <= named


@dashboards
def test_gallery_has_a_card_in_plain_words(path):
    found = card(path)
    assert found and 20 <= found.minutes <= 180 and found.level in LEVELS
    for text in (found.title, found.lecture, found.question, found.prerequisites):
        assert text and not re.search(r"[$\\*{}^_]", text), text
