"""The API reference: a page for each public module, from its docstrings.

Docstrings are plain text with `code` in single backticks and examples after >>>; Sphinx reads reStructuredText. What would
mean something else there is escaped, and names in backticks become links where they name something.
"""

import inspect
import re
from importlib import import_module
from types import ModuleType

from references import IDENTIFIER, address

import mlphys


def public(name: str) -> list[str]:
    """The public names of a module: its `__all__`, or what it defines itself.

    >>> public("mlphys.random")
    ['generator', 'spawn', 'torch_generator']
    """
    module = import_module(name)
    own = (key for key, value in vars(module).items() if getattr(value, "__module__", None) == name)
    return sorted(getattr(module, "__all__", None) or (key for key in own if not key.startswith("_")), key=str.lower)


def pages() -> dict[str, str]:
    """Sources by file name, the index first."""
    top = [_title("mlphys"), ".. automodule:: mlphys\n   :no-members:", ".. currentmodule:: mlphys"]
    for home, names in mlphys._HOMES.items():
        top += [_title(home.split(".")[-1].replace("_", " ").capitalize(), "-")]
        top += [_entry(mlphys, name) for name in names]
    sources = {"mlphys": "\n\n".join(top)}
    waiting = [f"mlphys.{name}" for name in mlphys._MODULES]
    while waiting:
        name = waiting.pop(0)
        module = import_module(name)
        blocks = [_title(name), f".. automodule:: {name}\n   :no-members:", f".. currentmodule:: {name}"]
        for key in public(name):
            value = getattr(module, key)
            if inspect.ismodule(value):
                waiting.append(value.__name__)
                blocks.append(f":doc:`{value.__name__}`")
            elif getattr(mlphys, key, None) is value:
                blocks.append(f":py:obj:`{key} <mlphys.{key}>`: see :doc:`mlphys`.")
            else:
                blocks.append(_entry(module, key))
        sources[name] = "\n\n".join(blocks)
    names = sorted(name for name in sources if name != "mlphys")
    toctree = "\n   ".join([".. toctree::", "", "mlphys", *names])
    intro = "Everything public, from the docstrings. ``import mlphys as mp``; shapes are in brackets, k_B = 1."
    return {"index": f"{_title('API reference')}\n\n{plain(intro)}\n\n{toctree}"} | sources


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}"


def _entry(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        return f".. {kind}:: {name}\n   :members:"
    return f".. autofunction:: {name}" if callable(value) else f".. autodata:: {name}\n   :no-value:"


def plain(text: str) -> str:
    """One paragraph of a docstring as reStructuredText.

    >>> print(plain("`Chain` of |m| in ``x_0``, see `f(x)`, arXiv:2307.01837."))
    :py:obj:`Chain <Chain>` of \\|m\\| in ``x_0``, see ``f(x)``, `arXiv:2307.01837 <https://arxiv.org/abs/2307.01837>`__.
    """
    return re.sub(rf"``(.+?)``|`([^`]+)`|{IDENTIFIER}|([\\*|_`])", _written, text, flags=re.DOTALL)


def _written(found: re.Match) -> str:
    code, mark = found[1] or found[2], found[found.re.groups]
    if mark:
        return f"\\{mark}"
    if not code:
        written = f"`{found[0]} <{address(found[0])}>`__"
    elif not found[1] and re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*", code):
        written = f":py:obj:`{code} <{re.sub(r'^mp[.]', 'mlphys.', code)}>`"
    else:
        written = f"``{code}``"
    # Marks end before a space or a stop; before anything else stands one that is not shown, as in `side`³.
    return written + ("\\ " if found.string[found.end() :][:1].isalnum() else "")


def docstring(app, what, name, obj, options, lines: list[str]) -> None:
    """Sphinx's `autodoc-process-docstring`: examples stay as they are, all else is `plain`."""
    text = "\n".join(lines)
    if what == "data" and text.strip() == inspect.cleandoc(type(obj).__doc__ or ""):  # that of any dict or tuple
        text = ""
    paragraphs = (part if part.lstrip().startswith(">>>") else plain(part) for part in text.split("\n\n"))
    lines[:] = "\n\n".join(paragraphs).split("\n")
