"""Verification from a later receipt on: what is new is checked in full, the rest by names and digests of receipts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import ConfigurationError, VerificationError
from minimize.verification import check
from tests.commands import command

from .make import OutputWriter, column, policy

POLICY = policy({"x": {"type": "string", "do": "keep"}}, subject=None)


def dates(folder: Path, count: int) -> OutputWriter:
    """An output of so many dates."""
    folder.mkdir(exist_ok=True)
    made = OutputWriter(folder)
    for turn in range(1, count + 1):
        table = pa.table([pa.array([f"v{turn}"])], schema=pa.schema([column(pa.string(), "keep")]))
        made.run(POLICY, {"records": table}, date=f"2026-11-0{turn}")
    return made


@pytest.fixture(name="writer")
def _writer(tmp_path: Path) -> OutputWriter:
    return dates(tmp_path, 4)


def codes(writer: OutputWriter, first: int) -> set[str]:
    found = check(writer.output, keys=writer.keyring, from_receipt=first)
    return {finding.code for finding in found} - {"V008", "V070"}


def data(writer: OutputWriter, turn: int) -> Path:
    return writer.output / writer.receipts[turn].outputs["records"].files[0].path


def test_unchecked_parts_are_reported(writer: OutputWriter) -> None:
    (finding,) = (each for each in check(writer.output, keys=writer.keyring, from_receipt=3) if each.code == "V070")
    assert finding.severity == "warning"
    assert "2 receipts before the given one" in finding.message
    assert "2 files in force" in finding.message


def test_from_the_first_receipt_everything_is_checked(writer: OutputWriter) -> None:
    assert "V070" not in {each.code for each in check(writer.output, keys=writer.keyring, from_receipt=1)}


def test_a_new_file_that_was_changed_is_found(writer: OutputWriter) -> None:
    data(writer, 2).write_bytes(data(writer, 0).read_bytes())
    assert codes(writer, 3) == {"V012"}
    assert codes(writer, 4) == set()


@pytest.mark.parametrize("where", ["removed", "strange", "unmarked"])
def test_a_file_of_an_earlier_receipt_is_checked_to_be_there_alone(writer: OutputWriter, where: str) -> None:
    path = data(writer, 0)
    if where == "removed":
        path.unlink()
    elif where == "strange":
        (path.parent / "other.parquet").write_bytes(b"PAR1")
    else:
        (path.parent / "_SUCCESS").unlink()
    assert codes(writer, 4) == {{"removed": "V011", "strange": "V014", "unmarked": "V015"}[where]}


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_an_earlier_receipt_that_was_changed_is_found_by_the_digest_that_the_next_one_carries(
    writer: OutputWriter, turn: int
) -> None:
    path = writer.output / "runs" / writer.receipts[turn].run_id / "receipt.json"
    path.write_text(path.read_text().replace('"operations"', '"customer_support"'))
    assert codes(writer, 4) == {"V003"}


def test_an_earlier_receipt_that_is_gone_is_found(writer: OutputWriter) -> None:
    (writer.output / "runs" / writer.receipts[1].run_id / "receipt.json").unlink()
    assert {"V002", "V003"} <= codes(writer, 4)


def test_a_new_receipt_without_a_valid_signature_is_found(writer: OutputWriter) -> None:
    path = writer.output / "runs" / writer.receipts[3].run_id / "receipt.json"
    path.write_text(path.read_text().replace('"operations"', '"customer_support"'))
    assert codes(writer, 4) == {"V004"}


def test_a_receipt_that_is_not_there_yet_is_an_error(writer: OutputWriter) -> None:
    assert codes(writer, 5) == {"V001"}


def test_receipts_are_counted_from_one(writer: OutputWriter) -> None:
    with pytest.raises(ConfigurationError, match="counted from 1"):
        check(writer.output, keys=writer.keyring, from_receipt=0)


def test_the_public_function_takes_it(writer: OutputWriter) -> None:
    data(writer, 0).write_bytes(data(writer, 1).read_bytes())
    minimize.verify(writer.output, keys=writer.keyring, from_receipt=2)
    with pytest.raises(VerificationError):
        minimize.verify(writer.output, keys=writer.keyring)


def test_the_command_accepts_it_and_prints_what_it_checked(writer: OutputWriter, tmp_path: Path) -> None:
    done = command("verify", writer.output, "--keys", tmp_path / "test.keys", "--from-receipt", 3)
    assert (done.code, done.out.splitlines()[-1]) == (0, "verified: 2 receipts from 3 on, 2 files in force, 2 rows")
    assert "V070" in done.out


def work(writer: OutputWriter, first: int) -> Counter[str]:
    """How many files were read for their digest, and how many signatures were verified."""
    done: Counter[str] = Counter()

    def reads(_: str, content: Path | bytes) -> None:
        done["files"] += isinstance(content, Path)

    def verifies(_: str) -> None:
        done["signatures"] += 1

    with at_checkpoint("file.hashed", reads), at_checkpoint("signature.verified", verifies):
        assert codes(writer, first) == set()
    return done


def test_the_work_does_not_grow_with_the_history(tmp_path: Path) -> None:
    few, many = dates(tmp_path / "few", 2), dates(tmp_path / "many", 9)
    assert work(few, 2) == work(many, 9) == {"files": 1, "signatures": 1}


def test_a_policy_that_many_receipts_carry_is_parsed_once(tmp_path: Path) -> None:
    parsed: list[bytes] = []
    writer = dates(tmp_path, 9)
    with at_checkpoint("policy.read", lambda _, content: parsed.append(content)):
        assert codes(writer, 1) == set()
    assert len(parsed) == 1
