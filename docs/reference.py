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
from minimize.cli.main import COMMAND_GROUPS, COMMANDS, group, load_command
from minimize.codes import CODES
from minimize.interop import formats_table
from minimize.interop.convert import FILE_KINDS, file_schema
from minimize.pages import markdown_page
from minimize.report.leaflet import create_leaflet
from minimize.techniques import TECHNIQUES, markdown_table
from minimize.times import utc_now

HERE = Path(__file__).parent
ROOT = HERE.parent


def commands() -> str:
    """The commands by group, each with a link to its page."""
    about = inspect.cleandoc(group.help or "")
    lines = [
        "# Commands",
        "",
        about,
        "",
        "Each command has a page. `minimize COMMAND --help` prints the same on a terminal.",
    ]
    for heading, names in COMMAND_GROUPS.items():
        lines += ["", f"## {heading}", "", "| command | what it does |", "|---|---|"]
        lines += [f"| [`minimize {name}`](commands/{name}.md) | {_cell(about)} |" for name, (_, about) in names.items()]
    return "\n".join(lines)


def command_pages() -> dict[str, str]:
    """A page for each command: what it does, an example, its options, and the commands below it."""
    with click.Context(group, info_name="minimize") as top:
        return {name: "\n".join(_command_parts(load_command(name), top, name)) for name in COMMANDS}


def _command_parts(command: click.Command, above: click.Context, name: str, level: int = 1) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=above) as ctx:
        about, examples = _paragraphs(command.help), _paragraphs(command.epilog)
        usage = " ".join(command.collect_usage_pieces(ctx))
        yield from (*(("",) if level > 1 else ()), f"{'#' * level} {ctx.command_path}", "", about)
        yield from ("", "```text", f"{ctx.command_path} {usage}".rstrip(), "```")
        heading, _, calls = examples.partition("\n")
        if heading.startswith("Example"):
            yield from ("", f"**{heading.rstrip(':')}**", "", "```console", *_example_lines(calls), "```")
        elif examples:
            yield from ("", examples)
        options = [record for record in (_option_cells(each, ctx) for each in command.get_params(ctx)) if record]
        if options:
            yield from ("", "| option | meaning |", "|---|---|", *(f"| {name} | {text} |" for name, text in options))
        below = command.commands if isinstance(command, click.Group) else {}
        for word, each in below.items():
            if not each.hidden:
                yield from _command_parts(each, ctx, word, level + 1)


def _paragraphs(text: str | None) -> str:
    """A help text without click's marks: a paragraph after `\\b` keeps its lines."""
    return inspect.cleandoc(text or "").replace("\b\n", "").replace("\b", "")


def _example_lines(calls: str) -> Iterator[str]:
    """The calls of an example; a line that is longer than a narrow page is broken before an option."""
    for line in filter(None, map(str.strip, calls.splitlines())):
        words, row = re.split(r" (?=--)", line), ""
        for word in words:
            if row and len(f"{row} {word}") > 76:
                yield f"{row} \\"
                row = f"    {word}"
            else:
                row = f"{row} {word}" if row else word
        yield row


def _option_cells(parameter: click.Parameter, ctx: click.Context) -> tuple[str, str] | None:
    """The names and the meaning of an option; None for one that is hidden or has no text."""
    record = parameter.get_help_record(ctx)
    if record is None or not record[1] or parameter.name == "help":
        return None
    names, _, value = record[0].partition("  ")
    return f"`{_cell(' '.join([names, value]).strip())}`", _cell(_remark(record[1]))


def _remark(text: str) -> str:
    """The text about an option, with its default in parentheses: brackets would be a link."""
    return re.sub(r"\[((?:default|env|env var|required|[\dx])\b[^\]]*)\]", r"(\1)", text).replace("<", "&lt;")


def help_list() -> str:
    """All commands with the line that `minimize --help` prints about each, for the README."""
    width = max(map(len, COMMANDS))
    return "\n".join(f"minimize {name:<{width}}  {about}" for name, (_, about) in COMMANDS.items())


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


CODE_GROUPS: Mapping[str, tuple[str, str]] = {
    "E": ("Errors of commands", "The message names the file or place, and its hint says what to do."),
    "P": ("Policies and pipelines", "Correct the line that the message names, then run `minimize lint` again."),
    "L": (
        "Lint",
        "Change the policy. If the finding is intended, approve it with a reason: `minimize policy approve`.",
    ),
    "R": (
        "Refusals by policy",
        "Change the policy, the pipeline or `minimize.yaml`. A refused command has changed nothing.",
    ),
    "C": ("Settings", "Correct the row or column of the settings file, and import it again."),
    "S": (
        "Sources",
        "Compare the source with the declared fields: `minimize drift`. Then correct the policy or the source.",
    ),
    "A": ("Aggregates", "Correct the table under `aggregates:` of the pipeline."),
    "G": ("Lifecycle events", "Correct the row of the file of events, and add it again."),
    "Q": ("Data subjects", "Correct the row, or name the outputs that the search could not reach."),
    "D": ("Drift", "Decide about the new or changed field in the policy, or ask the sender of the data."),
    "V": (
        "Verification",
        "Do not use the files until you know why. Run the date again if its files were lost or damaged.",
    ),
    "H": ("Audit log and ledger", "Compare the ledger with its backup and with heads that are kept elsewhere."),
    "U": ("Access rules", "Correct the access file: `minimize access lint`."),
    "T": ("Recipients", "Correct the recipient's file: `minimize recipient lint`."),
    "N": (
        "Sharing",
        "Nothing was sent. Record what is missing, such as a contract or an authorization, and share again.",
    ),
    "K": ("Incidents", "Correct the contacts, or add the missing part of the notice."),
    "B": ("Data server", "Correct the request. The server answers without details if the caller may not know them."),
    "J": ("Changes of policies", "A reviewer decides: accept the change, or change the policy."),
    "F": ("Fixtures", "Correct the pipeline, or the fixture if it expects the wrong result."),
    "I": ("Log: information", "Nothing needs to be done."),
    "W": ("Log: warnings", "The command went on. Read the message: a part may be missing from the result."),
}
"""For each letter of a code: what its codes are about, and what to do in general."""
QUARANTINE_GROUP = ("Quarantined records", "Correct the sender or the policy, then run `minimize replay`.")


def codes() -> str:
    """The stable codes by letter. Each has an anchor, such as `codes#e201`; where a page explains it, its cause and remedy."""
    remedies = troubleshooting()
    lines = [
        "# Codes",
        "",
        "Codes are stable: they never change meaning and are never reused. Each code has its own address,",
    ]
    lines += ["such as `codes#e201`. The sentence below a heading says what to do in general.", ""]
    letters = {code[0] if code[0].isupper() else "" for code in CODES}
    groups = {letter: CODE_GROUPS[letter] for letter in CODE_GROUPS if letter in letters} | {"": QUARANTINE_GROUP}
    lines += [" · ".join(f"[{letter or 'quarantine'}](#{_anchor(letter)})" for letter in groups)]
    for letter, (title, remedy) in groups.items():
        heading = f"{letter}: {title}" if letter else title
        lines += ["", f"## {heading} {{: #{_anchor(letter)} }}", "", remedy]
        members = [code for code in CODES if (code[0] if code[0].isupper() else "") == letter]
        for code in sorted(members):
            lines += ["", f"**`{code}`** {_cell(CODES[code])}", f"{{: #{code.lower()} .code }}"]
            lines += ["", *remedies[code]] if code in remedies else []
    return "\n".join(lines)


def _anchor(letter: str) -> str:
    return f"{letter.lower() or 'quarantine'}-codes"


def troubleshooting(page: Path = HERE / "guide" / "troubleshooting.md") -> dict[str, list[str]]:
    """For each code that the guide to troubleshooting explains, its cause and what to do. Empty without this page."""
    remedies: dict[str, list[str]] = {}
    for section in page.read_text().split("\n### ")[1:] if page.exists() else ():
        heading, _, body = section.partition("\n")
        body = re.split(r"\n#{1,3} ", body)[0]
        items = re.findall(r"^- (\*\*(?:Cause|Do):\*\*.*?)(?=\n\n|\n- |\Z)", body, re.MULTILINE | re.DOTALL)
        texts = ["- " + _from_reference(re.sub(r"\s+", " ", item).strip()) for item in items]
        for code in re.findall(r"\b[A-Z]\d{3}\b", heading.partition(":")[0]):
            remedies[code] = texts
    return remedies


def _from_reference(text: str) -> str:
    """A text of a page of the guide, with links as the reference needs them."""
    moved = re.sub(r"\]\((?!https?:|#|\.\./)([^)]+)\)", r"](../guide/\1)", text)
    return moved.replace("](../reference/", "](")


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


ANNOTATED_POLICY = """\
policy: checkins                 # the name of the dataset
version: 1                       # raise it with each change
owner: fleet-team@example.com    # who answers questions about it
purposes: [service_maintenance, customer_support]    # a run has one of them
tenant: tenant_id                # the field that names the organization
subject: device_id               # the field that names the person or device
time: event_time                 # retention and settings refer to this time
retention: 30d                   # older records are removed by `minimize expire`
never: [/contacts, /call_log]    # a record with one of these paths is quarantined
features:
  location: {about: position of a lost device, retention: 1d, per_subject: true}
fields:                          # a field that is not listed never leaves the reader
  tenant_id:  {type: string, do: keep}
  device_id:  {type: string, role: identifier,
               do: {pseudonymize: {key: device, per: tenant_id}}}
  event_time: {type: timestamp, role: quasi, do: {truncate_time: {to: hour}}}
  latitude:   {type: double, role: quasi, feature: location,    # only if it is on
               do: {round: {to: 0.1}}}
  battery:    {type: double, about: charge, unit: percent, do: {bin: {width: 10}}}
  user_name:  {type: string, role: identifier, do: drop}
  note:       {type: string, role: free_text, purposes: [customer_support],
               do: {redact: {patterns: [email, phone]}}}
"""
"""A complete policy, which explains itself. A test loads it."""


def files() -> str:
    """The keys of every file that a person writes, after a complete policy."""
    lines = ["# Files", "", "`minimize schema KIND` prints the same as JSON Schema, for editors.", ""]
    lines += ["## A complete policy", "", "```yaml", *ANNOTATED_POLICY.splitlines(), "```"]
    for kind in FILE_KINDS:
        body = file_schema(kind)
        parts = body.get("$defs", {})
        headings = {f"## File: {kind.replace('_', ' ')}": body}
        headings |= {f"### {_part_title(name)} {{: #{kind}-{name.lower()} }}": part for name, part in parts.items()}
        for heading, part in headings.items():
            if part.get("properties"):
                lines += ["", heading, "", str(part.get("description", ""))]
                lines += _keys(part, parts)
    return "\n".join(lines)


def _part_title(name: str) -> str:
    """The heading of a part of a file, from the name of its class: `FeatureModel` is a feature.

    >>> _part_title("RecordsGate")
    'Records gate'
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+", name.removesuffix("Model").removesuffix("Form"))
    return " ".join(words).capitalize() or name


def _keys(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "| key | type | default | description |", "|---|---|---|---|")
    for name, part in schema.get("properties", {}).items():
        default = "required" if name in schema.get("required", ()) else _code(part.get("default", ""))
        example = "" if "default" in part else next(map(_code, part.get("examples", ())), "")
        about = _cell(_about(part, parts)) + (f" Example: {example}" if example else "")
        yield f"| `{name}` | {_cell(_kind(part))} | {default} | {about} |"


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
        return _part_title(part["$ref"].rpartition("/")[2]).lower()
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
