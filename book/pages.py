"""Writes the sources of the book: the first page, lectures, apps, guides, instructors' pages, reference, bibliography."""

import html
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import api
import lectures
import nbformat
from references import FILE, bibliography, linked

import mlphys
from mlphys.lab.gallery import PICTURES, Card, card

ROOT = Path(__file__).parent.parent
COURSE = ROOT / "course"
# Where the course lies, as Binder names it; its tag is that of the version.
REPOSITORY = os.environ.get("MLPHYS_REPOSITORY", "gh/mlphys/mlphys")
BINDER = f"https://mybinder.org/v2/{REPOSITORY}/v{mlphys.__version__}?urlpath="
PROJECT = ("README", "CONTRIBUTING", "CHANGELOG")
APPS = """# Apps

Each lecture has an app, for people who read no code. Here are pictures; on your machine `make dashboards` opens the gallery
of all, and `mlphys dashboards` serves them to a hall ([how](/guides/serving.md))."""
ABOUT = """## About this book

It was built from the notebooks of the course and from the library, with figures and numbers as they came out at size
`{size}`, and it loads nothing from elsewhere. Numbers with an error bar change with the machine and the version within their
errors; times belong to the machine."""

CARD = """<a class="card" href="lectures/{slug}.html">{picture}<strong>{about.number} {lecture}</strong>
<span>{question}</span><em>{about.minutes} minutes, {about.level}</em></a>"""


def write(folder: Path, notebooks: dict, size: str) -> None:
    """All pages, each only where it has changed, so that Sphinx reads no other; what is no longer made goes."""
    cards = {slug: card(COURSE / "dashboards" / f"{slug}.ipynb") for slug in notebooks}
    made = {f"lectures/{slug}.md": _lecture(slug, notebook, cards[slug], size) for slug, notebook in notebooks.items()}
    texts = {slug: "\n".join(c.source for c in nb.cells if c.cell_type == "markdown") for slug, nb in notebooks.items()}
    made |= {f"instructor/{path.name}": _text(path) for path in sorted((COURSE / "instructor").glob("*.md"))}
    made |= {f"guides/{path.name}": _text(path) for path in sorted((ROOT / "guides").glob("*.md"))}
    made |= {f"project/{name.lower()}.md": _text(ROOT / f"{name}.md") for name in PROJECT}
    made |= {f"api/{name}.rst": source for name, source in api.pages().items()}
    made |= {"apps.md": _apps(cards), "bibliography.md": bibliography(texts)}
    made["index.md"] = _first(cards, made, size)
    files = {f"pictures/{path.name}": path for path in PICTURES.glob("*.jpg")} | {"references.bib": FILE}
    files |= {str(path.relative_to(ROOT)): path for path in (ROOT / "guides").glob("*/*")}
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if str(path.relative_to(folder)) not in made | files:
            path.unlink()
    for name, source in made.items():
        _keep(folder / name, source.encode(), lambda path, source=source: path.write_text(source, encoding="utf-8"))
    for name, origin in files.items():
        _keep(folder / name, origin.read_bytes(), lambda path, origin=origin: shutil.copyfile(origin, path))


def _keep(path: Path, content: bytes, make: Callable[[Path], object]) -> None:
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)


def _lecture(slug: str, notebook, about: Card | None, size: str) -> str:
    drawn = any(cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code")
    note = f"Figures and numbers are those of a run at size `{size}`." if drawn else "Shown without its figures."
    live = f"lab/tree/course/{slug}.ipynb"
    launch = f"{_buttons(slug, live)}\n\n*{note} On your machine: `make lab`, then `course/{slug}.ipynb`.*"
    return _relinked(lectures.page(notebook, slug, about, launch, f"{BINDER}{live}"), COURSE)


def _buttons(slug: str, *places: str) -> str:
    names = {"lab": "Run the lecture on Binder", "voila": "Open the app on Binder"}
    app = f"voila/render/course/dashboards/{slug}.ipynb"
    places += (app,) if (COURSE / "dashboards" / f"{slug}.ipynb").exists() else ()
    links = [f"[{names[place.split('/')[0]]}]({BINDER}{place})" for place in places]
    return "{.launch}\n" + " ".join(links)


def _apps(cards: dict[str, Card | None]) -> str:
    parts = [APPS]
    for slug, about in cards.items():
        if about is not None:
            parts += [f"({slug})=\n## {about.title}", about.question]
            parts += [f"![{about.title}: the app after some seconds](/pictures/{about.picture})"] if about.picture else []
            parts += [f"{_buttons(slug)}\n[The lecture](/lectures/{slug}.md)"]
    return "\n\n".join(parts) + "\n"


def _first(cards: dict[str, Card | None], made: dict[str, str], size: str) -> str:
    """The first page of the course, its table of lectures as cards, and the contents of the book."""
    opening, *rest = [_shown(cell) for cell in nbformat.read(COURSE / "index.ipynb", as_version=4).cells]
    table = next(i for i, text in enumerate(rest) if text.startswith("## The lectures"))
    words = re.sub(r"(?m)^\|.*\n", "", rest[table] + "\n").removeprefix("## The lectures\n")
    rest[table] = f"## The lectures\n\n{_cards(cards)}\n\n{words.strip()}"
    contents = {
        "Lectures": [f"{slug[:2]} {_title(made[f'lectures/{slug}.md'])} <lectures/{slug}>" for slug in cards],
        "Course": ["apps.md", *(name for name in made if name.startswith("guides/")), "bibliography.md"],
        "For instructors": [
            f"{_title(text.replace('# Instructor: ', '# ', 1))} <{name}>" if text.startswith("# Instructor: ") else name
            for name, text in made.items()
            if name.startswith("instructor/")
        ],
        "Library": ["At a glance <project/readme>", "api/index", "project/contributing", "project/changelog"],
    }
    trees = []
    for caption, names in contents.items():
        entries = "\n".join(re.sub(r"\.(md|rst)\b", "", name) for name in names)
        trees.append(f"```{{toctree}}\n:hidden:\n:maxdepth: 1\n:caption: {caption}\n\n{entries}\n```")
    return _relinked("\n\n".join([opening, *rest, ABOUT.format(size=size), *trees]) + "\n", COURSE)


def _title(text: str) -> str:
    """The first heading, up to a colon."""
    return re.match(r"# ([^:\n]+)", text)[1]


def _shown(cell) -> str:
    return cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"


def _cards(cards: dict[str, Card | None]) -> str:
    """The gallery, as in the dashboards."""
    items = []
    for slug, about in cards.items():
        if about is not None:
            picture = f'<img src="_images/{about.picture}" alt="" loading="lazy">' if about.picture else ""
            lecture, question = html.escape(about.lecture), html.escape(about.question)
            items.append(CARD.format(about=about, slug=slug, picture=picture, lecture=lecture, question=question))
    return "```{raw} html\n<div class=\"cards\">\n" + "\n".join(items) + "\n</div>\n```"


def _text(path: Path) -> str:
    return _relinked(linked(path.read_text(encoding="utf-8")), path.parent)


def _relinked(text: str, folder: Path) -> str:
    """Links between files of the repository as links between pages of the book."""

    def link(match: re.Match) -> str:
        path = os.path.relpath(folder / match[1], ROOT)
        for pattern, page in PLACES.items():
            if re.fullmatch(pattern, path):
                return f"]({re.sub(pattern, page, path).lower()}{(match[2] or '').lower()})"
        return match[0]

    return re.sub(r"\]\(([\w./-]+)(#[\w-]+)?\)", link, text)


PLACES = {
    r"course/(\d\d_\w+)\.ipynb": r"/lectures/\1.md",
    r"course/dashboards/(\d\d_\w+)\.ipynb": r"/apps.md#\1",
    r"course/index\.ipynb": "/index.md",
    r"course/(instructor/\w+\.md)": r"/\1",
    r"(guides/\w+\.md)": r"/\1",
    r"(README|CONTRIBUTING|CHANGELOG)\.md": r"/project/\1.md",
}
