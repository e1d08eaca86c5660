"""The sections' own texts and defaults, printed as a config file: it cannot go stale, and a test loads it.

Prose is commented out with `# `, keys with `#` alone, so that taking the `#` away from a key sets it. The
texts below fields are no docstrings to Python: they are read from the source, here and only here.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator

import msgspec

from anongw.config import sections
from anongw.config.sections import Config
from anongw.config.values import Bytes, Seconds, duration_text, size_text

_WIDTH = 100


def example() -> str:
    """Every section and key, commented out, each with its meaning and default."""
    said = texts()
    lines = [*_prose(said["Config"][""]), ""]
    for section in msgspec.structs.fields(Config):
        kind = section.type
        if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
            lines += [*_prose(said["Config"][section.name]), ""]
            continue
        lines += [*_prose(said[kind.__name__][""]), f"[{section.name}]", ""]
        for field in msgspec.structs.fields(kind):
            lines += [*_prose(said[kind.__name__][field.name]), *_default(field), ""]
    return "\n".join(lines)


def texts() -> dict[str, dict[str, str]]:
    """Of each struct: its docstring under "", and under each field's name the text below it."""
    found: dict[str, dict[str, str]] = {}
    for struct in ast.parse(inspect.getsource(sections)).body:
        if not isinstance(struct, ast.ClassDef):
            continue
        inside = found[struct.name] = {"": ast.get_docstring(struct) or ""}
        name = ""
        for node in struct.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
            elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                # Not cleandoc: examples that are set in would lose their margin.
                inside[name] = str(node.value.value).replace("\n    ", "\n").rstrip()
    return found


def _prose(text: str) -> Iterator[str]:
    """Paragraphs as comments; what is set in by four spaces as lines of the file."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("    "):
            yield from (f"#{line}" for line in textwrap.dedent(paragraph).splitlines())
        else:
            yield from (
                f"# {line}"
                for line in textwrap.wrap(" ".join(paragraph.split()), _WIDTH, break_on_hyphens=False)
            )


def _default(field: msgspec.structs.FieldInfo) -> Iterator[str]:
    value = field.default
    if value is msgspec.NODEFAULT or "ScrubRule" in str(field.type):
        return  # a table: its text brings lines of its own
    if field.type == Seconds:
        value = duration_text(value)
    elif field.type == Bytes:
        value = size_text(value)
    yield f"#{field.name} = {json.dumps(value)}"
