"""Write the guide's page about data items from data-items.yaml: `python docs/data_items.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
SOURCE = HERE / "data-items.yaml"
PAGE = HERE / "guide" / "data-items.md"
CATEGORIES = ("identified", "pseudonymized", "aggregated")
Item = Mapping[str, Any]

HEAD = """\
# Data items

Find each data item of the device-management service, and the form in which it is released. `minimize plan` shows the same for a
pipeline:

```sh
minimize plan pipelines/device_inventory > /dev/null     # each field, its form, and why
minimize plan pipelines/device_lookup > /dev/null        # the same data for the help desk
```

The service collects {count} data items, in three categories by what they are when they are collected; the output can have
another category. The column *form released* names the technique for each field, with its pipelines. `keep` releases the
value unchanged, and `drop` does not release it. A pipeline that is not listed releases nothing of the item.
[Techniques](../reference/techniques.md), a page that `make docs` writes, explains each technique.

`python docs/data_items.py` generates this page from `docs/data-items.yaml`. A test fails if that file differs from the policies.
"""
ABOUT = {
    "identified": "Data that identifies a person or device when it is collected.",
    "pseudonymized": "Identifiers that do not name a person, and the data collected with them.",
    "aggregated": "Counts over many devices, users or administrators.",
}


def items_of(source: Path = SOURCE) -> dict[str, list[Item]]:
    """The data items by category, in the order of the file."""
    body = YAML(typ="safe").load(source.read_text(encoding="utf-8"))
    return {category: list(body[category]) for category in CATEGORIES}


def page(items: Mapping[str, Sequence[Item]]) -> str:
    """The page as Markdown, with one table per category."""
    lines = [HEAD.format(count=sum(map(len, items.values())))]
    for category, listed in items.items():
        lines += [f"## {category.capitalize()}", "", ABOUT[category], ""]
        lines += ["| item | dataset | form released | rule |", "|---|---|---|---|"]
        lines += [_row(item) for item in listed]
        lines.append("")
    return "\n".join(lines)


def _row(item: Item) -> str:
    rule = item["rule"] + (f" ({item['reason']})" if "reason" in item else "")
    dataset = f"`{item['dataset']}`" if "dataset" in item else "all"
    cells = (item["item"], dataset, "; ".join(_forms(item)), rule)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _forms(item: Item) -> Iterator[str]:
    """The released forms of an item's fields, each with its pipelines, then its refused keys and its measures."""
    values = item.get("values", {})
    together: dict[str, list[str]] = {}
    for field, by_pipeline in item.get("fields", {}).items():
        name = f"`{field}` = {values[field]}" if field in values else f"`{field}`"
        together.setdefault(_by_form(by_pipeline), []).append(name)
    for forms, names in together.items():
        yield f"{', '.join(names)}: {forms}"
    if "refused" in item:
        yield "refused: " + ", ".join(f"`{key}`" for key in item["refused"])
    for each in item.get("aggregates", ()):
        group = "".join(f", {key} = {json.dumps(value).strip(chr(34))}" for key, value in each.get("group", {}).items())
        yield f"`{each['aggregate']}.{each['measure']}`{group} ({each['pipeline']})"


def _by_form(by_pipeline: Mapping[str, str | list[str]]) -> str:
    """The forms of a field, each with its pipelines."""
    forms: dict[str, list[str]] = {}
    for pipeline, form in by_pipeline.items():
        forms.setdefault(" or ".join([form] if isinstance(form, str) else form), []).append(pipeline)
    return ", ".join(f"{form} ({', '.join(names)})" for form, names in forms.items())


if __name__ == "__main__":
    PAGE.write_text(page(items_of()), encoding="utf-8")
