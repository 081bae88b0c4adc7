"""Lines of a file and the bytes that stand in them.
A trial finds of every record of a shipped sample what a run counts.
"""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

import minimize
from minimize.keys import new_keyring
from minimize.policy.load import load_pipeline
from minimize.review import trial
from minimize.review.trial import LineIndex, Trial, trial_keyring
from tests.calls import load_pipeline_settings
from tests.project import demonstration

TEXTS = [
    *(b"", b"\n", b"a", b"a\n", b"a\n\n b\r\n\t\nc", b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbf\nb"),
    b"abc" * 50 + b"\n" + b"d" * 99,
]


def expected(text: bytes) -> tuple[list[int], list[int]]:
    lines = text.split(b"\n")
    filled = [number for number, line in enumerate(lines, 1) if line.removeprefix(b"\xef\xbb\xbf").strip()]
    return [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))], filled


@pytest.mark.parametrize("text", TEXTS, ids=repr)
@pytest.mark.parametrize("piece", [4, 7, 1000])
def test_lines_are_those_of_the_text_however_it_is_read(
    text: bytes, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "BLOCK_SIZE", piece)
    (tmp_path / "a.ndjson").write_bytes(text)
    found = LineIndex.from_file(tmp_path / "a.ndjson")
    assert (list(found.starts), list(found.filled)) == expected(text)


def test_a_compressed_file_has_the_lines_of_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b"a\n\nbc\n"))
    found = LineIndex.from_file(tmp_path / "a.ndjson.gz")
    assert [found.line_of(position) for position in (0, 1, 2, 3, 4)] == [1, 1, 2, 3, 3]
    assert list(found.filled) == [1, 3]


ROOT = Path(__file__).parents[2]
AT = datetime(2026, 11, 25, tzinfo=UTC)


def test_it_finds_what_a_run_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "operator@example.com")
    job = load_pipeline(demonstration(tmp_path) / "daily_checkins")
    (sample,) = (ROOT / "sample_data" / "device_telemetry" / "2026-11-24").glob("*.ndjson.gz")
    settings = ROOT / "sample_data" / "device_telemetry" / "settings.csv"
    lines = gzip.decompress(sample.read_bytes()).splitlines(keepends=True)
    faulty = [line for line in lines if b"contacts" in line or b"yesterday" in line or not line.startswith(b"{")]
    file = tmp_path / "some.ndjson"
    file.write_bytes(b"".join([*lines[:60], *faulty[:5], *lines[:10]]))
    keys = new_keyring(tmp_path / "keys", ("device", "user"), now=AT)
    receipt = minimize.run(
        job,
        date="2026-11-24",
        at=AT,
        input=file,
        settings=settings,
        output=tmp_path / "published",
        ledger=tmp_path / "ledger.db",
        keys=keys,
    )
    trial = Trial.of(job, [file], AT, load_pipeline_settings(settings, job), trial_keyring(job.policy, AT))
    tried = list(trial.tried())
    rows = receipt.rows.by_result
    assert [each.line for each in tried] == sorted({each.line for each in tried})
    assert Counter(each.outcome for each in tried) == Counter(
        leaves=rows["written"], gated=rows["gated"], quarantined=rows["quarantined"], deduplicated=rows["deduplicated"]
    )
    assert Counter(each.reason for each in tried if each.outcome == "quarantined") == Counter(
        receipt.quarantine.by_code
    )
    assert min(rows[name] for name in ("written", "quarantined", "deduplicated")) > 0
    some = tried[len(tried) // 2]
    found = trial.one(some.line)
    assert found is not None
    assert (found.outcome, found.reason) == (some.outcome, some.reason)
