"""Puts the documentation's site together: `python docs/build.py` writes it into out/docs/site.

The reference comes from the code (`reference.py`), the library's from its docstrings. The rest are the pages beside this file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from executed import executed
from reference import GENERATED, command_pages
from service_figure import ALTERNATIVE, service_svg

HERE = Path(__file__).parent
TARGET = HERE.parent / "out" / "docs"
COPIED = ("*.md", "site.css")
COMMANDS_ENTRY = '{ "Commands" = "reference/commands.md" }'
"""The line of the navigation below which the pages of commands are listed."""


def build(target: Path = TARGET) -> Path:
    """Writes the site and returns its folder. Raises CalledProcessError if a link leads nowhere."""
    shutil.rmtree(target, ignore_errors=True)
    pages = target / "docs"
    for page in (path for pattern in COPIED for path in HERE.rglob(pattern)):
        place = pages / page.relative_to(HERE)
        place.parent.mkdir(parents=True, exist_ok=True)
        if page.parent.name == "notebooks":
            executed(page, place)
        elif page.suffix == ".md":
            depth = len(page.relative_to(HERE).parent.parts)
            place.write_text(within_site(with_figure(page.read_text(), "../" * depth), depth))
        else:
            shutil.copy(page, place)
    (pages / "service.svg").write_text(service_svg())
    for name, make in GENERATED.items():
        (pages / "reference" / name).write_text(make() + "\n")
    (pages / "reference" / "commands").mkdir(parents=True)
    commands = command_pages()
    for name, text in commands.items():
        (pages / "reference" / "commands" / f"{name}.md").write_text(text + "\n")
    settings = (HERE / "zensical.toml").read_text().replace("minimize-source", str(_source(target / "source")))
    (target / "zensical.toml").write_text(settings.replace(COMMANDS_ENTRY, command_entries(commands)))
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file"]
    subprocess.run([*command, str(target / "zensical.toml")], check=True)
    for page in (target / "site").rglob("*.html"):
        page.write_text(with_labels(page.read_text()))
    return target / "site"


def with_labels(page: str) -> str:
    """A page in which each cell of a table names its column, for screens that show a row as a card.

    >>> with_labels("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>")
    '<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td data-label="b">2</td></tr></table>'
    """
    return re.sub(r"<table>.*?</table>", _with_labels, page, flags=re.DOTALL)


def _with_labels(table: re.Match[str]) -> str:
    headings = [
        re.sub(r"<[^>]+>", "", each).strip() for each in re.findall(r"<th\b[^>]*>(.*?)</th>", table[0], re.DOTALL)
    ]
    rows = re.split(r"(?=<tr\b)", table[0])
    for number, row in enumerate(rows):
        cells = re.split(r"(?=<td\b)", row)
        labels = ["", *headings[1:]] if len(cells) - 1 == len(headings) else []
        for place, label in enumerate(labels, start=1):
            if label:
                cells[place] = f'<td data-label="{label.replace(chr(34), "&quot;")}"{cells[place].removeprefix("<td")}'
        rows[number] = "".join(cells)
    return "".join(rows)


def _source(target: Path) -> Path:
    """A copy of the package in which `Example:` of a docstring is `Examples:`, the only title under which the site shows code."""
    for module in (HERE.parent / "minimize").rglob("*.py"):
        copy = target / module.relative_to(HERE.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(re.sub(r"^( *)Example:$", r"\1Examples:", module.read_text(), flags=re.MULTILINE))
    return target


def with_figure(text: str, root: str) -> str:
    """A page with the figure of the service as a picture in place of the one that is drawn with characters.

    Takes the path from the page to the folder of all pages.
    """
    figure = (
        (HERE.parent / "README.md").read_text().partition("<!-- service -->\n")[2].partition("<!-- /service -->")[0]
    )
    picture = f'<figure class="service" markdown>\n![{ALTERNATIVE}]({root}service.svg)\n</figure>\n'
    return text.replace(figure, picture) if figure else text


def within_site(text: str, depth: int) -> str:
    """A page whose links to files that the site does not have are plain text.

    Takes the number of folders that the page is below the folder of all pages.

    >>> within_site("[`a`](../../pipelines/a.yaml) [b](../b.md)", 1)
    '`a` [b](../b.md)'
    """
    return re.sub(rf"\[([^\]\n]+)\]\((?:\.\./){{{depth + 1},}}[^)\n]*\)", r"\1", text)


def command_entries(names: Iterable[str]) -> str:
    """The section of the navigation with the list of commands and their pages."""
    entries = [f'{{ "minimize {name}" = "reference/commands/{name}.md" }}' for name in names]
    return f'{{ "Commands" = [{", ".join([COMMANDS_ENTRY, *entries])}] }}'


if __name__ == "__main__":
    print(f"the site is in {build(*map(Path, sys.argv[1:2]))}")
