"""Sphinx's configuration of the book."""

import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile, copytree

sys.path.insert(0, str(Path(__file__).parent))
import api

import mlphys
from mlphys.lab import theme
from mlphys.lab.plot import plotly_path

project, release = "mlphys", mlphys.__version__
author = "The mlphys developers"
copyright = "The mlphys developers, MIT licence"
language = "en"
smartquotes = False  # "heun" in a docstring is to be typed

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["attrs_block", "colon_fence", "dollarmath", "amsmath"]
myst_heading_anchors = 3
# Annotations say `Step`, of which there are several; then none is linked.
suppress_warnings = ["ref.python"]

autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "mlphys"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sphinx = False
html_favicon = str(theme.STATIC.parent / "voila" / "templates" / "mlphys" / "static" / "icon.svg")
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
# The menu would fetch what is not here; screen readers get MathML in any case.
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}}


def shared_files(app, _exception=None) -> None:
    """plotly.js, the library's own drawing of plots, and MathJax: once for the whole site."""
    static = Path(app.outdir) / "_static"
    copyfile(plotly_path(), static / "plotly.min.js")
    plot = theme.script("plot").replace("export default { render };", "window.mlphysPlot = render;")
    (static / "plot.js").write_text(f"(() => {{\n{plot}\n}})();\n", encoding="utf-8")
    mathjax = Path(find_spec("mathjax").origin).parent / "static" / "mathjax" / "es5"
    (static / "mathjax").mkdir(exist_ok=True)
    copyfile(mathjax / "tex-chtml.js", static / "mathjax" / "tex-chtml.js")
    for part in ("output/chtml/fonts/woff-v2", "input/tex/extensions"):
        copytree(mathjax / part, static / "mathjax" / part, dirs_exist_ok=True)


def finish(app, page, template, context, doctree) -> None:
    if "mlphys-static" in context.get("body", ""):
        app.add_js_file("plotly.min.js", loading_method="defer")
        app.add_js_file("plot.js", loading_method="defer")
    app.add_js_file("book.js", loading_method="defer")
    # Captions of the contents are headings without a level, which screen readers need.
    tree = context["furo_navigation_tree"]
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app) -> None:
    # Sphinx reads everything anew where this changes: it does not know that pages come from here.
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
    app.add_config_value("code", code, "env", str)
    app.connect("autodoc-process-docstring", api.docstring)
    app.connect("html-page-context", finish, priority=900)  # after furo
    app.connect("build-finished", shared_files)
