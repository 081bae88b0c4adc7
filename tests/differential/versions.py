"""The versions that are compared: the working tree, and a wheel that is given or built from a revision."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Version:
    """A folder to put on PYTHONPATH, the package in it, and what to call it. `revision` is None for a wheel."""

    path: Path
    package: str
    label: str
    revision: str | None = None


def working_tree() -> Version:
    """The package as it is in this checkout."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())
    package = said["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"][0]
    return Version(ROOT, package, "working tree")


def default_revision() -> str:
    """The last revision that landed: where this branch left `origin/main` or `main`, or HEAD~1 if nothing is on top of that.

    With changes that are not committed on top of the landed revision, that is HEAD itself.
    """
    head = git("rev-parse", "HEAD")
    for name in ("origin/main", "main"):
        base = git("merge-base", "HEAD", name, check=False)
        if base and (base != head or git("status", "--porcelain", "--", working_tree().package)):
            return base
    return git("rev-parse", "HEAD~1")


def version_of(against: str, folder: Path) -> Version:
    """The version of a wheel file or a revision, unpacked below the folder."""
    if against.endswith(".whl"):
        return unpacked(Path(against), folder, Path(against).name)
    revision = git("rev-parse", "--verify", f"{against}^{{commit}}")
    return unpacked(built(revision, folder), folder, f"{against} ({revision[:7]})", revision)


def built(revision: str, folder: Path) -> Path:
    """The wheel of a revision, built from an export of it."""
    source = folder / "source"
    source.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x"], cwd=source, check=True, input=archive.stdout)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the wheel of {revision} cannot be built:\n{done.stdout}{done.stderr}")
    return next(folder.glob("*.whl"))


def unpacked(wheel: Path, folder: Path, label: str, revision: str | None = None) -> Version:
    """The package of a wheel, in a folder of its own."""
    path = folder / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(path)
    package = next(each.parent.name for each in sorted(path.glob("*/__init__.py")))
    return Version(path, package, label, revision)


def is_ancestor(older: str, newer: str) -> bool:
    """Whether a revision contains another one."""
    done = subprocess.run(["git", "merge-base", "--is-ancestor", older, newer], cwd=ROOT, capture_output=True)
    return done.returncode == 0


def git(*words: str, check: bool = True) -> str:
    """What a git command prints; empty if it fails and need not succeed."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode and check:
        raise SystemExit(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip() if not done.returncode else ""
