"""Puts the documentation's site together: `python docs/build.py` writes it into out/docs/site.

The reference comes from the code (`reference.py`), the library's from its docstrings. The rest are the pages beside this file.
"""

from __future__ import annotations

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
    settings = (HERE / "zensical.toml").read_text().replace("minimize-source", str(HERE.parent))
    (target / "zensical.toml").write_text(settings)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file"]
    subprocess.run([*command, str(target / "zensical.toml")], check=True)
    return target / "site"


if __name__ == "__main__":
    print(f"the site is in {build(*map(Path, sys.argv[1:2]))}")
