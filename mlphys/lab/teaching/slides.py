"""Slides of a lecture: its text, its figures, its exercises, on pages that a hall can read and that need no network.

The canvas of a slide is 960 × 540 and is scaled to the screen; `static/slides.js` turns pages, by keys alone.
"""

import base64
import html
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlphys.lab import gallery, theme
from mlphys.lab.plot import plotly_path
from mlphys.lab.teaching.editions import Lecture, text

WORDS = 100
"""More than these, and what a slide says goes on on the next."""
FIGURE = 65
"""As many words as a figure takes the place of."""
STATIC = Path(__file__).parent / "static"
_WIDGET = "application/vnd.jupyter.widget-view+json"


def decks(lectures: Sequence[Lecture], folder: Path) -> Iterator[tuple[str, bytes]]:
    """Slides of each lecture, which is run for them in `folder`, and what they share, by file name."""
    for lecture in lectures:
        yield f"slides/{lecture.slug}.html", deck(lecture, outputs(lecture, folder)).encode()
    yield from shared()


def shared() -> Iterator[tuple[str, bytes]]:
    """What all decks have in common: figures are drawn as in the notebooks, formulas by MathJax."""
    yield "slides/plotly.min.js", plotly_path().read_bytes()
    plot = theme.script("plot").replace("export default { render };", "window.mlphysPlot = render;")
    yield "slides/plot.js", f"(() => {{\n{plot}\n}})();\n".encode()
    yield "slides/mathjax.js", _mathjax().read_bytes()
    for name in ("slides.css", "slides.js"):
        yield f"slides/{name}", (STATIC / name).read_bytes()


def outputs(lecture: Lecture, folder: Path) -> list[list[dict[str, Any]]]:
    """What each cell of a lecture shows when it is run from top to bottom, at the size that MLPHYS_SIZE says.

    Raises RuntimeError if one of them fails.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.reads(json.dumps(lecture.notebook), as_version=4)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}, store_widget_state=False)
    print(f"{lecture.slug}: running the notebook for its slides ...", file=sys.stderr, flush=True)
    try:
        client.execute(env=dict(os.environ))
    except CellExecutionError as error:
        raise RuntimeError(f"{lecture.slug} does not run: {error.ename}: {error.evalue}") from None
    return [cell.get("outputs", []) for cell in notebook.cells]


def deck(lecture: Lecture, shown: Sequence[Sequence[dict[str, Any]]]) -> str:
    """The page with all slides of a lecture; `shown` are the outputs of each of its cells."""
    slides = _paged(_blocks(lecture, shown))
    body = "\n".join(
        f'<section aria-roledescription="slide" aria-label="{n} of {len(slides)}">\n{slide}\n</section>'
        for n, slide in enumerate(slides, 1)
    )
    return _PAGE.format(title=html.escape(lecture.title), body=body)


Block = tuple[str, int]
"""Markup, and how many words' place it takes; 0 for what stands on the same slide as what came before it."""


def _blocks(lecture: Lecture, shown: Sequence[Sequence[dict[str, Any]]]) -> Iterator[Block]:
    apps = 0
    for at, (cell, outputs) in enumerate(zip(lecture.notebook["cells"], shown, strict=True)):
        if cell["cell_type"] == "markdown":
            yield from _written(text(cell))
        elif exercise := lecture.exercises.get(at):
            stub = text(cell).split("\nlecture.exercises")[0].strip()
            yield f"<p>{html.escape(exercise.statement)}</p>\n<pre>{html.escape(stub)}</pre>", FIGURE
        elif cell["cell_type"] == "code" and not text(cell).endswith("].widget"):
            code = f'<pre class="code" hidden tabindex="0">{html.escape(text(cell))}</pre>\n'
            for output in outputs:
                if "App(" in output.get("data", {}).get("text/plain", "") and _WIDGET in output["data"]:
                    apps += 1
                    markup = _app(lecture.slug if apps == 1 else "")
                else:
                    markup = _output(output)
                if markup:
                    yield code + markup, FIGURE
                    code = ""
            if code:
                yield code, 0


def _written(source: str) -> Iterator[Block]:
    """A cell of Markdown: headings, paragraphs, formulas, items of lists."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    # Nothing stands alone that ends with a colon.
    for block in re.split(r"(?<!:)\n\s*\n", source):
        items = re.split(r"(?<!:\n)(?<!:)\n(?=- |\d+\. )", block)
        for part in [block] if len(block.split()) < WORDS else items:
            markup = re.sub(r'<a class="anchor-link".*?</a>| id="[^"]*"', "", markdown2html_mistune(part))
            number = re.match(r"(\d+)\. ", part)
            yield re.sub(r"<ol\b", f'<ol start="{number[1]}"', markup) if number else markup, len(part.split())


def _paged(blocks: Iterator[Block]) -> list[str]:
    """Blocks on slides: a heading begins one, and so does what has no place any more, below the heading again."""
    slides: list[list[str]] = [[]]
    heading, words = "", 0
    for markup, size in blocks:
        # What leads on to the next cell should not stand below the last.
        most = WORDS // 2 if re.search(r":</p>\s*$", markup) else WORDS
        if re.match(r"\s*<h[123]", markup):
            heading, size = markup, 0
            if words:
                slides.append([])
            words = 0
        elif words and words + size > most:
            slides.append([heading.replace(">", ' class="again">', 1)])
            words = 0
        slides[-1].append(markup)
        words += size
    return ["\n".join(slide) for slide in slides if slide]


def _output(output: dict[str, Any]) -> str:
    """What stands on a slide of an output: figures, tables, text; progress bars and warnings leave nothing."""
    if output["output_type"] == "error":
        raise ValueError(f"the notebook failed: {output['ename']}: {output['evalue']}")
    if output["output_type"] == "stream":
        return f"<pre>{html.escape(output['text'].rstrip())}</pre>" if output["name"] == "stdout" else ""
    data = output["data"]
    if "text/html" in data:
        markup = re.sub(r"<style scoped>.*?</style>|<script>.*?</script>", "", data["text/html"], flags=re.DOTALL)
        for name, colour in zip(theme.COLOURS, theme.PRINT_COLOURS, strict=True):
            markup = markup.replace(f'"{colour}"', f'"{name}"')
        return f'<div class="shown">{markup}</div>'
    return "" if _WIDGET in data else f"<pre>{html.escape(data['text/plain'])}</pre>"


def _app(slug: str) -> str:
    """A picture of the lecture's app; the app itself is live in the dashboards."""
    picture = gallery.PICTURES / f"{slug}.jpg"
    if not picture.exists():
        return '<p class="live">Live: the app in the notebook.</p>'
    data = base64.b64encode(picture.read_bytes()).decode()
    image = f'<img alt="The app" src="data:image/jpeg;base64,{data}">'
    return f'<figure>{image}<figcaption class="live">Live: the app</figcaption></figure>'


def _mathjax() -> Path:
    """MathJax with formulas as drawings, one file without fonts."""
    spec = find_spec("mathjax")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("slides need MathJax; install mlphys with its teach extra: pip install 'mlphys[teach]'")
    return Path(spec.origin).parent / "static" / "mathjax" / "es5" / "tex-svg.js"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="slides.css">
<script>
window.MathJax = {{
  tex: {{ inlineMath: [["$", "$"]], displayMath: [["$$", "$$"]] }},
  options: {{ enableMenu: false, skipHtmlTags: ["script", "pre", "code"] }},
  svg: {{ fontCache: "local" }},
}};
</script>
<script defer src="mathjax.js"></script>
<script defer src="plotly.min.js"></script>
<script defer src="plot.js"></script>
<script defer src="slides.js"></script>
</head>
<body>
<header><h1>{title}</h1></header>
<main>
{body}
</main>
<footer>
<nav aria-label="Slides">
<button id="back" title="Back (left arrow)">‹</button>
<output id="place" aria-live="polite"></output>
<button id="on" title="On (right arrow, space)">›</button>
</nav>
<button id="code" title="Code (C)" aria-pressed="false">code</button>
<button id="theme" title="Light or dark (T)">theme</button>
<button id="full" title="Full screen (F)">full screen</button>
</footer>
</body>
</html>
"""
