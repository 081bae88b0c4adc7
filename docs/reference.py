"""The pages of the reference, each as text, from the code.

Commands come from their help, techniques, measures and codes from their tables, files from their JSON Schemas, leaflets from the
shipped policies.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from minimize.aggregates import MEASURES, Measure
from minimize.cli.main import COMMANDS, group, load_command
from minimize.codes import CODES
from minimize.interop import formats_table
from minimize.interop.convert import FILE_KINDS, file_schema
from minimize.pages import markdown_page
from minimize.report.leaflet import create_leaflet
from minimize.techniques import TECHNIQUES, markdown_table
from minimize.times import utc_now

ROOT = Path(__file__).parent.parent


def commands() -> str:
    """Every command with its help, groups before what stands in them."""
    lines = ["# Commands", "", f"{inspect.cleandoc(group.help or '')}"]
    with click.Context(group, info_name="minimize") as top:
        for name in COMMANDS:
            lines += _helps(load_command(name), top, name)
    return "\n".join(lines)


def _helps(command: click.Command, above: click.Context, name: str, level: int = 2) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=above, terminal_width=100, max_content_width=100) as ctx:
        yield from ("", f"{'#' * level} {ctx.command_path}", "", "```text", command.get_help(ctx), "```")
        inner = command.commands if isinstance(command, click.Group) else {}
        for each, below in inner.items():
            yield from _helps(below, ctx, each, level + 1)


def techniques() -> str:
    """The table of techniques, and each one's own words."""
    lines = ["# Techniques", "", markdown_table(TECHNIQUES.values())]
    for name, kind in TECHNIQUES.items():
        text, _, example = (inspect.getdoc(kind) or "").partition("\n>>> ")
        lines += ["", f"## `{name}`", "", text, *(("", "```pycon", f">>> {example}", "```") if example else ())]
    return "\n".join(lines)


def measures() -> str:
    """The table of measures, and each one's own words with what a null means."""
    rows = [
        f"| [`{name}`](#{name}) | {_cell(kind.about)} | {'—' if kind.takes is None else kind.takes.names} | {_shown(kind)} |"
        for name, kind in MEASURES.items()
    ]
    head = [
        "# Measures",
        "",
        "What `measures:` of an aggregate can publish about each group. A group with fewer than `below` subjects is not",
        "published, and a measure is null if fewer than `below` subjects contribute a value to it.",
        "",
        "| measure | gives | takes | shows values of the field |",
        "|---|---|---|---|",
    ]
    lines = [*head, *rows]
    for name, kind in MEASURES.items():
        lines += ["", f"## `{name}`", "", inspect.getdoc(kind) or ""]
        if kind.needs_bounds and kind.takes is not None:
            lines += ["", "One value can determine most of the statistic: `clip` the field, or make it coarser."]
    return "\n".join(lines)


def _shown(kind: type[Measure]) -> str:
    return {
        "none": "no",
        "frequent": "those of at least `below` subjects",
        "supported": "one, with at least `below` subjects on both sides",
        "single": "one, possibly one subject's",
    }[kind.shown_values]


def codes() -> str:
    """What each stable code means."""
    rows = [f"| `{code}` | {_cell(about)} |" for code, about in CODES.items()]
    head = [
        "# Codes",
        "",
        "No code changes its meaning, and none is used again.",
        "",
        "| code | what it says |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows])


def exchange_formats() -> str:
    """The formats that can be imported and exported."""
    return f"# Exchange formats\n\n{formats_table()}"


def leaflets() -> str:
    """What an organization can see in each dataset that a shipped pipeline makes."""
    about = "For the people whose data is in the datasets of the shipped pipelines. `minimize leaflet` generates these texts."
    paths = sorted((ROOT / "pipelines").glob("*/pipeline.yaml"))
    pages = [create_leaflet(path, utc_now().date()).document for path in paths]
    return f"# Leaflets\n\n{about}\n" + "".join(
        re.sub("^#", "\n##", markdown_page(each), flags=re.MULTILINE) for each in pages
    )


def files() -> str:
    """The keys of every file that a person writes."""
    lines = ["# Files", "", "`minimize schema KIND` prints the same as JSON Schema, for editors."]
    for kind in FILE_KINDS:
        body, title = file_schema(kind), kind.capitalize()
        parts = body.get("$defs", {})
        headings = {f"## {title}": body, **{f"### {title}: `{name}`": part for name, part in parts.items()}}
        for heading, part in headings.items():
            if part.get("properties"):
                lines += ["", heading, "", str(part.get("description", "")), *_keys(part, parts)]
    return "\n".join(lines)


def _keys(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "| key | type | default | description | example |", "|---|---|---|---|---|")
    for name, part in schema.get("properties", {}).items():
        default = "required" if name in schema.get("required", ()) else _code(part.get("default", ""))
        example = "" if "default" in part else next(map(_code, part.get("examples", ())), "")
        yield f"| `{name}` | {_cell(_kind(part))} | {default} | {_cell(_about(part, parts))} | {example} |"


def _code(value: Any) -> str:
    return "" if value == "" else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _about(part: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """What a key means: its own words, else those of what it refers to, of all its ways if there are several."""
    if "description" in part:
        return str(part["description"])
    if "$ref" in part:
        return str(parts[part["$ref"].rpartition("/")[2]].get("description", ""))
    return " Or: ".join(dict.fromkeys(filter(None, (_about(each, parts) for each in part.get("anyOf", ())))))


def _kind(part: Mapping[str, Any]) -> str:
    """The type of a key in a few words."""
    if "$ref" in part:
        return f"`{part['$ref'].rpartition('/')[2]}`"
    words = part.get("enum", [part["const"]] if "const" in part else ())
    if words:
        return ", ".join(f"`{each}`" for each in words)
    ways = part.get("anyOf", part.get("oneOf", ()))
    if ways:
        return " or ".join(dict.fromkeys(_kind(each) for each in ways))
    if part.get("type") == "array" and isinstance(part.get("items"), Mapping):
        return f"list of {_kind(part['items'])}"
    values = part.get("additionalProperties")
    if isinstance(values, Mapping):
        return f"mapping of names to {_kind(values)}"
    said = part.get("type", "any")
    return " or ".join(said) if isinstance(said, list) else str(said)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


GENERATED: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "techniques.md": techniques,
    "measures.md": measures,
    "codes.md": codes,
    "files.md": files,
    "exchange-formats.md": exchange_formats,
    "leaflets.md": leaflets,
}
