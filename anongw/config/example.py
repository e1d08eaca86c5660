"""The sections' own texts and defaults, printed as a config file: it cannot go stale, and a test loads it.

Prose is commented out with `# `, keys with `#` alone, so that taking the `#` away from a key sets it. The
texts below fields are no docstrings to Python: they are read from the source, here and only here.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import TypeGuard, get_args, get_origin

import msgspec

from anongw.config import chains, hop_tables, sections
from anongw.config.hop_tables import HopTable
from anongw.config.hops import Hop
from anongw.config.sections import Config
from anongw.config.values import Bytes, Seconds, duration_text, size_text

_WIDTH = 100
# How the chain is called that stands in the example.
_CHAIN = "example"
# And the user whose identity does: the one of the example of [users].
_USER = "alice"

Texts = dict[str, dict[str, str]]


def example() -> str:
    """Every section and key, commented out, each with its meaning and default."""
    said = texts()
    lines = [*_prose(said["Config"][""]), ""]
    for section in msgspec.structs.fields(Config):
        if text := said["Config"].get(section.name):
            lines += [*_prose(text), ""]
        if _is_struct(section.type):
            lines += _table(section.type, section.name, f"[{section.name}]", said)
        else:
            lines += _tables(section, section.name, said)
    return "\n".join(lines)


def texts() -> Texts:
    """Of each struct: its docstring under "", and under each field's name the text below it."""
    found: Texts = {}
    for module in (sections, chains, hop_tables):
        for struct in ast.parse(inspect.getsource(module)).body:
            if isinstance(struct, ast.ClassDef):
                found[struct.name] = {"": ast.get_docstring(struct) or "", **_below_fields(struct)}
    # A position has the keys of a member too.
    return found | {"HopTable": found["MemberTable"] | found["HopTable"]}


def _below_fields(struct: ast.ClassDef) -> dict[str, str]:
    found = {}
    name = ""
    for node in struct.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            # Not cleandoc: examples that are set in would lose their margin.
            found[name] = str(node.value.value).replace("\n    ", "\n").rstrip()
    return found


def _table(kind: type[msgspec.Struct], path: str, heading: str, said: Texts) -> Iterator[str]:
    """A table: what it is, its heading, its keys, and then the tables in it."""
    fields = msgspec.structs.fields(kind)
    own = said[kind.__name__]
    yield from (*_prose(own[""]), heading, "")
    for field in fields:
        if text := own.get(field.name):
            yield from (*_prose(text), *_default(field, text), "")
    for field in fields:
        if field.name not in own:
            here = f"{path}.{field.name}"
            if _is_struct(field.type):
                yield from _table(field.type, here, f"#[{here}]", said)
            else:
                yield from _tables(field, here, said)


def _tables(field: msgspec.structs.FieldInfo, path: str, said: Texts) -> Iterator[str]:
    """One of many tables: of a list's, or of those that have names."""
    for kind in get_args(field.type):
        if not _is_struct(kind):
            continue
        written = HopTable if kind is Hop else kind
        if get_origin(field.type) is dict:
            name = _USER if field.name == "identities" else _CHAIN
            yield from _table(written, f"{path}.{name}", f"#[{path}.{name}]", said)
        else:
            yield from _table(written, path, f"#[[{path}]]", said)


def _is_struct(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


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


def _default(field: msgspec.structs.FieldInfo, text: str) -> Iterator[str]:
    value = field.default
    if "\n\n    " in text or value is msgspec.NODEFAULT or isinstance(value, msgspec.Struct):
        return  # its text brings lines of its own, or there is no default that could be written
    if field.type == Seconds:
        value = duration_text(value)
    elif field.type == Bytes:
        value = size_text(value)
    yield f"#{field.name} = {json.dumps(value)}"
