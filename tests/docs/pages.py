"""Pages of Markdown, pasted from top to bottom as a reader would: commands into a shell, snippets into one notebook."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path

from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[2]
EXITS = "<!-- exits "
INVISIBLE = re.compile(r"<!--- invisible-code-block: (?:sh|python)\n(.*?)-->", re.DOTALL)
LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Reader:
    """Pastes the blocks of one page; what a page shows right after a block must be what the block printed.

    A comment `<!-- exits 3 -->` right before commands says that their last one ends so.
    """

    def __init__(self, folder: Path) -> None:
        self.kept = folder / ".kept"
        self.printed: str | None = None
        self.ended = 0
        self.python = PythonEvaluator()

    def reads(self, page: Path, *, as_shown: bool = False) -> int:
        """How many blocks of the page were run, `as_shown` without the invisible ones.

        Raises AssertionError at the first that does not do as the page says.
        """
        evaluators = {"sh": self.shell, "python": self.snippet, "text": self.shows}
        parsers = [CodeBlockParser(word, does) for word, does in evaluators.items()]
        text = without_invisible(page.read_text()) if as_shown else page.read_text()
        document = Document(text, str(page))
        for parser in parsers:
            for region in parser(document):
                document.add(region)
        examples = list(document.examples())
        for example in examples:
            example.evaluate()
        return len(examples)

    def shell(self, example: Example) -> None:
        """Commands, in the folder and with the variables that those before them left."""
        script = f"trap 'env -0 > {self.kept}' EXIT\n{example.parsed}"
        command = ["bash", "-aeuo", "pipefail", "-c", script]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        wanted = _exits(example)
        assert done.returncode == wanted, f"{_where(example)}: {done.returncode}\n{done.stdout}"
        self.printed, self.ended = done.stdout, example.region.end
        pairs = dict(pair.split("=", 1) for pair in self.kept.read_text().split("\0") if "=" in pair)
        os.chdir(pairs["PWD"])
        os.environ.update(pairs)

    def snippet(self, example: Example) -> None:
        """Python, with the names that the page has given before."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.python(example)
        self.printed, self.ended = out.getvalue(), example.region.end

    def shows(self, example: Example) -> None:
        """What a block printed, where the page shows it right after the block; `...` stands for anything."""
        if self.printed is None or example.document.text[self.ended : example.region.start].strip():
            return  # a text of its own
        same = doctest.OutputChecker().check_output(str(example.parsed), self.printed, LOOSE)
        assert same, f"{_where(example)}: it printed\n{self.printed}"
        self.printed = None


def invisible_blocks(text: str) -> list[str]:
    """What a reader of a page does not see, and the tests run."""
    return [block.group(1) for block in INVISIBLE.finditer(text)]


def without_invisible(text: str) -> str:
    """A page without what its reader does not see; every line has the number that it had."""
    return INVISIBLE.sub(lambda block: "\n" * block.group().count("\n"), text)


def _exits(example: Example) -> int:
    before = example.document.text[: example.region.start].rstrip().rpartition("\n")[2]
    return int(before.removeprefix(EXITS).removesuffix(" -->")) if before.startswith(EXITS) else 0


def _where(example: Example) -> str:
    return f"{Path(example.path).name}, line {example.line}"


def path_with_ours() -> str:
    """The search path of a reader who has set up the project: its commands come first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
