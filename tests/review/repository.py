"""A git repository in a folder, with a policy that changes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.project import PIPELINE, POLICY

ENV = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "a"), ("EMAIL", "a@example.com"))
    },
}


@dataclass(frozen=True)
class Repository:
    """A repository; commits are tagged."""

    root: Path

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(self.root), *words], env=ENV, check=True, capture_output=True, text=True
        ).stdout

    def writes(self, name: str, content: Any) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path

    def commits(self, tag: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", tag)
        self.git("tag", tag)


def repository(root: Path, policy: str = "policy.yaml") -> Repository:
    """One with a pipeline in `pipelines/p`, tagged `one`."""
    root.mkdir(exist_ok=True)
    made = Repository(root)
    made.git("init", "-q", "-b", "main")
    made.writes("pipelines/p/pipeline.yaml", {**PIPELINE, "policy": policy})
    made.writes(f"pipelines/p/{policy}", POLICY)
    made.commits("one")
    return made
