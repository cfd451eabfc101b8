"""A lecture as a page of Markdown: its text, its code, and what the code showed, without a kernel."""

import html
import re
from collections.abc import Iterator
from importlib import import_module

from nbformat import NotebookNode
from references import linked

from mlphys.lab import theme
from mlphys.lab.gallery import Card

WIDGET = "application/vnd.jupyter.widget-view+json"


def page(notebook: NotebookNode, slug: str, card: Card | None, launch: str, live: str) -> str:
    """The whole page; `launch` stands below the opening, `live` is where the lecture runs."""
    apps = 0
    blocks = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            blocks.append(linked(cell.source))
        else:
            blocks.append(_fenced(cell.source, "python"))
            for output in cell.get("outputs", ()):
                if WIDGET in output.get("data", {}) and "App(" in output.data["text/plain"]:
                    apps += 1
                    blocks.append(_app(card if apps == 1 else None, live))
                else:
                    blocks += _shown(output, slug, cell.source)
        if len(blocks) == 1:
            blocks.append(launch)
    return "\n\n".join(blocks) + "\n"


def _shown(output: NotebookNode, slug: str, source: str) -> Iterator[str]:
    """Blocks for one output; progress bars and warnings leave nothing."""
    if output.output_type == "stream":
        if output.name == "stdout":
            yield _output(_fenced(output.text.rstrip(), "text"))
    elif output.output_type == "error":
        raise ValueError(f"{slug} failed: {output.ename}: {output.evalue}")
    elif "text/html" in output.data:
        yield _output(_fenced(_for_this_page(output.data["text/html"]), "{raw} html"))
    elif exercise := re.search(r"exercises\[[\"'](.+?)[\"']\]\.widget", source):
        module = import_module(f"mlphys.lectures.{slug[3:]}")
        statement = html.escape(module.exercises[exercise[1]].statement)
        hints = "Three hints, one by one, and the verdict on your answer: in the notebook."
        yield _output(_fenced(f"<div class=\"task\"><p>{statement}</p><p>{hints}</p></div>", "{raw} html"))
    elif WIDGET not in output.data:
        yield _output(_fenced(output.data["text/plain"], "text"))
    elif not re.search(r"\d%\|", output.data["text/plain"]):
        raise ValueError(f"{slug}: {output.data['text/plain']} shows nothing without a kernel")


def _for_this_page(markup: str) -> str:
    """Figures lose their own script, since book.js draws them, and get colours that follow the theme of the page."""
    if 'class="mlphys-static"' in markup:
        markup = re.sub(r"<script>.*?</script>", "", markup, flags=re.DOTALL)
        height = re.search(r'"height":(\d+)', markup)[1]
        markup = markup.replace("<div ", f'<div style="min-height:{height}px" ', 1)
        for name, colour in zip(theme.COLOURS, theme.PRINT_COLOURS, strict=True):
            markup = markup.replace(f'"{colour}"', f'"{name}"')
    return re.sub(r"<style scoped>.*?</style>", "", markup, flags=re.DOTALL)


def _app(card: Card | None, live: str) -> str:
    where = f"It is live in [the lecture]({live})."
    if card is None or not card.picture:
        return _output(f"An app stands here, which needs a running kernel. {where}")
    picture = f"![{card.title}: the app after some seconds](/pictures/{card.picture})"
    return _output(f"{picture}\n\n*{card.title}*, a picture. {where}")


def _output(block: str) -> str:
    return f"::::{{container}} output\n{block}\n::::"


def _fenced(text: str, kind: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"
