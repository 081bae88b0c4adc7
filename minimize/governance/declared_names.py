"""The names that the policies of a configuration declare: features and fields, in the form in which settings are compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from minimize.config import Config
from minimize.errors import MinimizeError
from minimize.identifiers import canonical_word
from minimize.policy.load import load_pipeline, load_policy
from minimize.policy.model import Policy
from minimize.records import PIPELINE_FILE, POLICY_FILE, RECEIPT_FILE


@dataclass(frozen=True, slots=True)
class DeclaredNames:
    """The names of features and levels settings (folded), and the fields of records."""

    settings: frozenset[str]
    fields: frozenset[str]

    @classmethod
    def of_policies(cls, *policies: Policy) -> DeclaredNames:
        """The names that any of these policies declares. A policy with levels declares the setting `level`."""
        features = {canonical_word(name) for policy in policies for name in policy.features}
        levels = {"level" for policy in policies if policy.levels}
        return cls(frozenset(features | levels), frozenset(key for policy in policies for key in policy.fields))


def names_of_configuration(config: Config) -> DeclaredNames | None:
    """The names of every policy below the folder of `minimize.yaml`; None without such a file.

    A policy with faults declares nothing.
    """
    return None if config.path is None else DeclaredNames.of_policies(*_policies_below(config.path.parent))


def _policies_below(folder: Path) -> Iterator[Policy]:
    for path in sorted(folder.rglob(PIPELINE_FILE)):
        with suppress(MinimizeError):
            if _is_in_use(path):
                yield load_pipeline(path).policy
    for path in sorted(folder.rglob(POLICY_FILE)):
        with suppress(MinimizeError):
            if _is_in_use(path) and not path.with_name(PIPELINE_FILE).exists():
                yield load_policy(path)


def _is_in_use(path: Path) -> bool:
    """Whether a file is not the copy that a receipt keeps."""
    return not path.with_name(RECEIPT_FILE).exists()
