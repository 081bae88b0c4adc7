"""Tests replace parts of the package only where no public way leads to the state: each one is listed with its reason.

A test that fails a step, lets another process act in between, or counts, sets a callback (`minimize.checkpoints`). A control that
leaves out a step names the assertion that fails without the patch, and holds with it: that shows that the check can fail.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
"""Where patches are counted, by what they replace: the last two names of its path, so that moved tests change nothing."""

LEFT_OUT: Mapping[str, tuple[int, str]] = {
    "DistinctSubjects.count": (1, "V041 in test_a_run_that_shows_small_groups_is_found_though_it_is_signed"),
    "NoiseTerms.margin": (1, "the attacks of tests/disclosure succeed once there is no noise"),
    "NoiseTerms.total_sd": (1, "the attacks of tests/disclosure succeed once there is no noise"),
    "ProvenActs.require_act": (1, "effect != SETTINGS: an attack changes what is read once nothing is proven"),
    "RecordedErasures.effective_at": (2, "of_d1(project) > 0: a run that knows no erasure brings the records back"),
    "Removal.execute": (1, 'CheckFailed "2 files still hold": the check after a deletion'),
    "RuledRemoval.plan": (1, "CheckFailed: the check after a deletion that overlooks what is due"),
    "RowNoise.counts": (
        2,
        "without draws, attacks succeed (tests/disclosure) and figures equal those of another engine",
    ),
    "RowNoise.scaled": (
        2,
        "without draws, attacks succeed (tests/disclosure) and figures equal those of another engine",
    ),
    "SpillFile._decrypt": (1, "the sweep finds planted values in an unsealed spill file"),
    "SpillFile._seal": (1, "the sweep finds planted values in an unsealed spill file"),
    "TruncateTime.apply": (1, 'rule "differs" of a share'),
    "act_log._recorded_head": (1, "effect != SETTINGS: an attack changes what is read once nothing is proven"),
    "dictionaries.truncate_times": (1, 'codes == {"V030"} of verify'),
    "durable_files.sync_folder": (1, "a publication whose intent cannot be synced is taken back"),
    "export_file.EXPORT_FORMATS": (1, 'rule "differs" of a share whose file has fewer rows'),
    "inputs._identifies_nobody": (2, "the sweep finds names of files; a receipt of an earlier version names them"),
    "inputs._matching_pattern": (1, "the sweep finds names of files"),
    "inputs.reject_future": (1, 'errors == ["V037"] of verify'),
    "kind.apply": (1, "V030 or V032 of verify for each broken technique"),
    "kind.apply_column": (1, "V030 or V032 of verify for each broken technique"),
    "kind.apply_encoded": (1, "V030 or V032 of verify for each broken technique"),
    "minimizer.decode_batch": (2, 'rule "differs" of a share'),
    "payload._count_rows": (1, 'rule "differs" of a share'),
    "payload._encoded_columns": (1, 'rule "differs" of a share'),
    "plan.count_by_statistics": (1, "planned == told: counts by reading and by statistics agree"),
    "request._is_plausible_name": (1, "the sweep finds undeclared names"),
    "resolve.load_subject_acts": (1, 'LedgerError "during this run", and the files are as before'),
    "Workspace.check_target": (1, "V063 of verify"),
    "runner.check_acts_unchanged": (1, "of_d1(project) > 0: a run that knows no erasure brings the records back"),
    "session.check_open_ledger": (1, "V063 of verify"),
}
"""Steps that are left out or done wrongly on purpose: number of patches, and the assertion that notices it."""

LIMITS: Mapping[str, int] = {
    "spill._DIVIDED_ROWS": 2,
    "act_log.PAGE_SIZE": 1,
    "act_log.REUSE_S": 6,
    "arrow_reader.MAX_CELLS": 1,
    "audit_check.PAGE_SIZE": 1,
    "audit_log.PAGE_SIZE": 1,
    "database._PRAGMAS": 3,
    "deduplicate._MIN_BYTES": 2,
    "fields.MOST_DISTINCT": 1,
    "passes.MIN_SHARE_BYTES": 1,
    "schema.STEPS": 1,
    "documents.LARGEST_DOCUMENT": 1,
    "durable_files.ALGORITHM": 1,
    "ledger.PATIENCE_S": 3,
    "local.MAX_BUFFERED_BYTES": 1,
    "local.SINK_CHUNK_ROWS": 1,
    "memory.MEMORY_CHUNK_ROWS": 1,
    "notify.NOTIFY_TIMEOUT": 1,
    "object_store._RETRY_PAUSE": 2,
    "object_store._RETRY_SECONDS": 1,
    "published_output.OPEN_FILES": 1,
    "reader.BUCKET_WAITS": 1,
    "full_domain._MAX_STORED_ROWS": 1,
    "reader.BUCKET_WAIT_S": 1,
    "remaining_risk.MOST_ATTACKED": 1,
    "reader.WAITS": 2,
    "requests.REQUEST_DEADLINE": 1,
    "rewrite.FILES_PER_PORTION": 3,
    "schema.NEWEST_VERSION": 2,
    "snapshot.DESCRIPTOR_FOLDER": 1,
    "spark.RESULTS_AT_ONCE": 4,
    "spark.SAFE_SETTINGS": 2,
    "spill_file.CHUNK_BYTES": 1,
    "spill_file._MIN_BYTES": 3,
    "stored_file.MAX_GROUP_BYTES": 1,
    "subject_index.MAGIC": 1,
    "subject_index.MAX_REMEMBERED": 1,
    "subject_index.SECTION_ENTRIES": 1,
    "tally._MAX_PENDING": 1,
    "tally._MIN_ROWS": 3,
    "trial.BLOCK_SIZE": 1,
}
"""Constants of one algorithm or format: a limit made small, so that few rows reach what millions reach; an earlier format."""

TO_REPLACE: Mapping[str, int] = {
    "IndexContents.to_bytes": 1,
    "IndexKey.hash_each": 1,
    "engine.attempt_number": 1,
    "engine.spark_context": 1,
    "runner.reference_clock": 1,
    "guards._server_time": 1,
    "guards.reference_clock": 1,
    "spark.FinalPass": 2,
    "stream.viewed_batches": 1,
    "yaml_nodes._parse_cached": 1,
}
"""Values, failures, races and counts that still wait for an argument or a checkpoint: this list only shrinks."""


def origins(tree: ast.Module) -> dict[str, str]:
    """What the names of a file stand for: an imported object, or a class of the file itself."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            names[node.name] = f"tests.{node.name}"
    return names


def replaced(call: ast.Call, names: Mapping[str, str]) -> str | None:
    """What a call of `setattr`, `delattr`, `patch` or `patch.object` replaces in the package; None for any other call or object.

    A name that is no import counts as the package's: it stands for one of its modules or classes.
    """
    function = ast.unparse(call.func)
    owner, _, name = function.rpartition(".")
    is_setter = name in ("setattr", "delattr") and owner not in ("", "object")
    is_patch = function.removeprefix("mock.") in ("patch", "patch.object")
    if not call.args or not (is_setter or is_patch):
        return None
    target, *rest = call.args
    if isinstance(target, ast.Constant | ast.JoinedStr):
        path = str(target.value) if isinstance(target, ast.Constant) else ast.unparse(target).strip("f'")
        return ".".join(path.split(".")[-2:]) if path.startswith("minimize.") else None
    root, _, below = re.sub(r"import_module\('minimize\.(.*?)'\)", r"\1", ast.unparse(target)).partition(".")
    origin = names.get(root, f"minimize.{root}")
    if not f"{origin}.".startswith("minimize."):
        return None
    attribute = ast.literal_eval(rest[0]) if rest and isinstance(rest[0], ast.Constant) else "?"
    return f"{(below or origin).rpartition('.')[2]}.{attribute}"


def patches() -> Iterator[str]:
    """What all tests replace, one each time."""
    for path in sorted(TESTS.rglob("*.py")):
        content = path.read_text()
        if "setattr" not in content and "patch" not in content:
            continue
        tree = ast.parse(content)
        names = origins(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (patched := replaced(node, names)) is not None:
                yield patched


def test_each_patch_of_the_package_is_listed_with_its_reason() -> None:
    counts = Counter(patches())
    listed = {name: count for name, (count, _) in LEFT_OUT.items()} | dict(LIMITS) | dict(TO_REPLACE)
    assert len(listed) == len(LEFT_OUT) + len(LIMITS) + len(TO_REPLACE)
    new = counts - Counter(listed)
    assert not new, f"use a checkpoint or an argument: {dict(new)}"
    assert not Counter(listed) - counts, "no longer in a test: shorten the list"


def test_no_special_method_or_default_is_replaced() -> None:
    assert not [name for name in (*LEFT_OUT, *LIMITS, *TO_REPLACE) if "__" in name]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import minimize.a as b\np.setattr(b, 'C', 1)", "a.C"),
        ("from minimize.a import B\np.setattr(B, '__call__', 1)", "B.__call__"),
        ("p.setattr('minimize.a.b.c', 1)", "b.c"),
        ("from minimize import a\npatch.object(a.B, 'read')", "B.read"),
        ("patch('minimize.a.b.c', 1)", "b.c"),
        ("mock.patch('minimize.a.b.c')", "b.c"),
        ("for m in ms: p.setattr(m, 'f', 1)", "m.f"),
        ("import os\np.setattr(os, 'link', 1)", None),
        ("object.__setattr__(a, 'b', 1)", None),
        ("patch.dict(os.environ, {})", None),
    ],
)
def test_a_patch_of_the_package_is_found(code: str, expected: str | None) -> None:
    tree = ast.parse(code)
    found = [replaced(node, origins(tree)) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert found == [expected]
