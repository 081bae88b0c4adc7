"""Puts the documentation's site together: `python docs/build.py` writes it into out/docs/site.

The reference comes from the code (`reference.py`), the library's from its docstrings. The rest are the pages beside this file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from executed import executed
from reference import GENERATED

HERE = Path(__file__).parent
TARGET = HERE.parent / "out" / "docs"


def build(target: Path = TARGET) -> Path:
    """Writes the site, and gives its folder. Raises CalledProcessError for a link that leads nowhere."""
    shutil.rmtree(target, ignore_errors=True)
    pages = target / "docs"
    for page in (*HERE.rglob("*.md"), HERE / "site.css"):
        place = pages / page.relative_to(HERE)
        place.parent.mkdir(parents=True, exist_ok=True)
        if page.parent.name == "notebooks":
            executed(page, place)
        else:
            shutil.copy(page, place)
    for name, make in GENERATED.items():
        (pages / "reference" / name).write_text(make() + "\n")
    settings = (HERE / "zensical.toml").read_text().replace("minimize-source", str(_source(target / "source")))
    (target / "zensical.toml").write_text(settings)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file"]
    subprocess.run([*command, str(target / "zensical.toml")], check=True)
    return target / "site"


def _source(target: Path) -> Path:
    """A copy of the package in which `Example:` of a docstring is `Examples:`, the only title under which the site shows code."""
    for module in (HERE.parent / "minimize").rglob("*.py"):
        copy = target / module.relative_to(HERE.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(re.sub(r"^( *)Example:$", r"\1Examples:", module.read_text(), flags=re.MULTILINE))
    return target


if __name__ == "__main__":
    print(f"the site is in {build(*map(Path, sys.argv[1:2]))}")
