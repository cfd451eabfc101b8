"""Reference solutions, written into the stubs of a notebook."""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
"""The marks between which nbgrader looks for what students don't get."""


def fill(stub: str, solution: Any, opening: str = "", marks: bool = False) -> str:
    """The cell `stub` with the body of `solution`, a function or class, in the place of its NotImplementedError.

    What the body needs of its module comes along, unless the code in `opening` has it already; `marks` adds those of
    nbgrader. Raises ValueError if there is not one place to fill, or if the arguments have other names there.

    >>> from mlphys.lectures.vortices_exercises import exercises
    >>> stub = "def features(angles):\\n    raise NotImplementedError\\n\\nfeatures"
    >>> print(fill(stub, exercises["features"].solution))
    def features(angles):
        # The cosine of the turn along both bonds of each site.
        import numpy as np
        return np.stack([np.cos(np.roll(angles, -1, axis) - angles) for axis in (2, 1)], axis=1)
    <BLANKLINE>
    features
    """
    place, function = _place(stub)
    source = textwrap.dedent(inspect.getsource(solution))
    definition = ast.parse(source).body[0]
    answer = _method(definition, function.name) if isinstance(definition, ast.ClassDef) else definition
    names = [_arguments(node) for node in (function, answer)]
    if not isinstance(answer, ast.FunctionDef) or names[0] != names[1]:
        raise ValueError(f"{function.name} has the arguments {names[0]} in the notebook and {names[1]} in its solution")
    said = ast.get_docstring(definition) if isinstance(definition, ast.FunctionDef | ast.ClassDef) else None
    lines = [f"# {line}".rstrip() for line in (said or "").splitlines()]
    module = inspect.getmodule(solution)
    lines += _needs(answer, module, ast.parse(opening)) if module else []
    lines += _body(answer, source)
    lines = [BEGIN, *lines, END] if marks else lines
    rows = stub.splitlines()
    indent = " " * place.col_offset
    rows[place.lineno - 1 : place.end_lineno] = [indent + line if line else "" for line in lines]
    return "\n".join(rows)


def defined(stub: str) -> str:
    """The one name that a stub defines; ValueError if it is not one."""
    names = [node.name for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if len(names) != 1:
        raise ValueError(f"an exercise's cell must define one function or class, but defines {names or 'none'}")
    return names[0]


def _place(stub: str) -> tuple[ast.Raise, ast.FunctionDef]:
    """The statement to be replaced, and the function around it."""
    found = [
        (node, function)
        for function in ast.walk(ast.parse(stub))
        if isinstance(function, ast.FunctionDef)
        for node in function.body
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in ast.unparse(node.exc)
    ]
    if len(found) != 1:
        raise ValueError(f"an exercise's cell must raise NotImplementedError in one place, but does so in {len(found)}")
    return found[0]


def _method(definition: ast.ClassDef, name: str) -> ast.AST:
    return next((node for node in definition.body if getattr(node, "name", "") == name), definition)


def _arguments(node: ast.AST) -> list[str]:
    return [argument.arg for argument in node.args.args] if isinstance(node, ast.FunctionDef) else []


def _body(function: ast.FunctionDef, source: str) -> list[str]:
    """The lines of a function below its head and docstring."""
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    before = function.body[0].end_lineno if statements is not function.body else statements[0].lineno - 1
    body = "\n".join(source.splitlines()[before : function.end_lineno])
    return textwrap.dedent(body).strip("\n").splitlines()


def _needs(node: ast.AST, module: ModuleType, opening: ast.Module) -> list[str]:
    """Imports and definitions of `module` that a piece of its code refers to, in the order of the module."""
    source = inspect.getsource(module)
    tree = ast.parse(source)
    had = {text for statement in opening.body for _, text in _imports(statement)}
    needed: dict[tuple[int, str], str] = {}
    waiting = _free(node)
    while waiting:
        name = waiting.pop()
        for place, statement in enumerate(tree.body):
            for bound, text in _imports(statement):
                if bound == name and text not in had:
                    needed[place, name] = text
            if name in _bound(statement) and (place, name) not in needed:
                needed[place, name] = f"{ast.get_source_segment(source, statement)}\n"
                waiting |= _free(statement)
    return [line for place in sorted(needed) for line in needed[place].split("\n")]


def _imports(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """Each name that an import binds, with the statement that binds it alone."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        origin = f"from {statement.module} " if isinstance(statement, ast.ImportFrom) else ""
        for alias in statement.names:
            renamed = f" as {alias.asname}" if alias.asname else ""
            yield alias.asname or alias.name, f"{origin}import {alias.name}{renamed}"


def _bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign):
        return {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return set()


def _free(node: ast.AST) -> set[str]:
    """Names that a piece of code takes from around it."""
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    inside = {part.id for part in names if not isinstance(part.ctx, ast.Load)}
    inside |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    inside |= {part.name for part in ast.walk(node) if isinstance(part, ast.FunctionDef | ast.ClassDef)}
    return {part.id for part in names} - inside - set(dir(builtins))
