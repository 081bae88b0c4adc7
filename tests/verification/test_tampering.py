"""What somebody may do to a published output afterwards, and how it is found."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.errors import ConfigurationError, KeyringError, OutputError, VerificationError
from minimize.keys import new_keyring
from minimize.ledger import find_ledger
from minimize.ledger.kinds import API_TOKEN
from minimize.receipts import InputFile, Receipt
from minimize.records import FileRef
from minimize.verification import CODES, check, verify
from tests.ledger.ledgers import opened

from .make import AT, OutputWriter, column, policy

POLICY = policy({"x": {"type": "string", "do": "keep"}}, subject=None)


def table(*values: str) -> pa.Table:
    return pa.table([pa.array(values)], schema=pa.schema([column(pa.string(), "keep")]))


@pytest.fixture
def writer(tmp_path: Path) -> OutputWriter:
    """Three runs: a day, another day, and the first day again."""
    made = OutputWriter(tmp_path)
    first = made.run(POLICY, {"records": table("a", "b")})
    made.run(POLICY, {"records": table("c")}, date="2026-11-25")
    made.remove(first)
    made.run(POLICY, {"records": table("a")}, replaces=made.refs(first))
    return made


def data(writer: OutputWriter, turn: int) -> Path:
    receipt = writer.receipts[turn]
    return writer.output / receipt.outputs["records"].files[0].path


def receipt_of(writer: OutputWriter, turn: int) -> Path:
    return writer.output / "runs" / writer.receipts[turn].run_id / "receipt.json"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_untouched_output_is_verified(writer: OutputWriter) -> None:
    assert writer.codes() == []
    verify(writer.output, keys=writer.keyring)


def test_the_public_key_alone_verifies(writer: OutputWriter, tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_bytes(writer.keyring.public_key_pem())
    verify(writer.output, public_key=tmp_path / "public.pem")
    edit(receipt_of(writer, 1), '"operations"', '"customer_support"')
    with pytest.raises(VerificationError) as caught:
        verify(writer.output, public_key=tmp_path / "public.pem")
    assert "V004" in [finding.code for finding in caught.value.findings]
    assert (caught.value.code, caught.value.exit_code) == ("E101", 1)


def test_the_end_of_the_chain_is_warned_about(writer: OutputWriter) -> None:
    (finding,) = check(writer.output, keys=writer.keyring)
    assert (finding.code, finding.severity) == ("V008", "warning")


def test_without_a_key_it_refuses(writer: OutputWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    with pytest.raises(ConfigurationError, match="required to check the signatures") as caught:
        verify(writer.output)
    assert caught.value.exit_code == 2


def test_a_key_that_cannot_be_used_is_refused(writer: OutputWriter, tmp_path: Path) -> None:
    with pytest.raises(KeyringError):
        verify(writer.output, keys=tmp_path / "none.keys")
    with pytest.raises(KeyringError):
        verify(writer.output, public_key=tmp_path / "none.pem")


def test_a_folder_that_is_not_there_is_refused(writer: OutputWriter) -> None:
    with pytest.raises(OutputError):
        verify(writer.output / "none", keys=writer.keyring)


def test_the_keyring_of_another_organization_knows_no_signature(writer: OutputWriter, tmp_path: Path) -> None:
    other = new_keyring(tmp_path / "other.keys", now=AT)
    codes = [finding.code for finding in check(writer.output, keys=other)]
    assert codes.count("V004") == 3


def test_an_edited_receipt_is_found(writer: OutputWriter) -> None:
    edit(receipt_of(writer, 0), '"operations"', '"customer_support"')
    assert {"V003", "V004"} <= set(writer.codes())


def test_a_receipt_that_is_no_json_is_found(writer: OutputWriter) -> None:
    receipt_of(writer, 1).write_text("{")
    assert {"V001", "V002", "V003"} <= set(writer.codes())


def test_a_receipt_in_another_run_s_folder_is_found(writer: OutputWriter) -> None:
    receipt_of(writer, 1).write_bytes(receipt_of(writer, 0).read_bytes())
    assert {"V001", "V002"} <= set(writer.codes())


def test_a_run_that_is_removed_is_found(writer: OutputWriter) -> None:
    shutil.rmtree(receipt_of(writer, 1).parent)
    assert {"V002", "V003", "V014"} <= set(writer.codes())


def test_a_last_run_that_is_removed_leaves_its_files_behind(writer: OutputWriter) -> None:
    shutil.rmtree(receipt_of(writer, 2).parent)
    assert {"V011", "V014"} <= set(writer.codes())


def test_runs_whose_order_is_exchanged_are_found(writer: OutputWriter) -> None:
    for turn, sequence in ((0, 2), (1, 1)):
        swapped = replace(writer.receipts[turn], sequence=sequence)
        receipt_of(writer, turn).write_text(swapped.file_text())
    assert {"V003", "V004"} <= set(writer.codes())


def test_a_forged_end_is_found(writer: OutputWriter, tmp_path: Path) -> None:
    forger = new_keyring(tmp_path / "forger.keys", now=AT)
    writer.keyring = forger
    writer.run(POLICY, {"records": table("z")}, date="2026-11-26")
    writer.keyring = type(forger).load(tmp_path / "test.keys")
    assert writer.codes() == ["V004"]


def test_no_receipt_at_all_is_found(writer: OutputWriter) -> None:
    for turn in range(3):
        shutil.rmtree(receipt_of(writer, turn).parent)
    assert writer.codes()[0] == "V001"
    assert "V014" in writer.codes()


def test_a_folder_that_is_no_output_is_reported_without_listing_its_files(writer: OutputWriter) -> None:
    shutil.rmtree(writer.output / "runs")
    (finding,) = check(writer.output, keys=writer.keyring)
    told = ("V001", "error", "the folder is not an output")
    assert (finding.code, finding.severity, finding.message) == told
    assert "Pass the folder that contains `runs`" in finding.hint


def test_a_pipeline_folder_is_refused_with_a_hint(writer: OutputWriter, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/pipeline.yaml").write_text("pipeline: p\n")
    (finding,) = check(tmp_path / "p", keys=writer.keyring)
    assert finding.hint == "This is a pipeline. Pass the folder of its `output`."


def test_a_run_folder_without_a_receipt_is_a_warning(writer: OutputWriter) -> None:
    (writer.output / "runs" / "20261125T000009Z-0123456789ab").mkdir()
    findings = check(writer.output, keys=writer.keyring)
    assert [(finding.code, finding.severity) for finding in findings] == [("V007", "warning"), ("V008", "warning")]


def test_a_file_with_other_bytes_is_found(writer: OutputWriter) -> None:
    pq.write_table(table("d"), data(writer, 1))
    assert writer.codes() == ["V012"]


def test_a_file_with_other_rows_is_found(writer: OutputWriter) -> None:
    pq.write_table(table("d", "e"), data(writer, 1))
    assert writer.codes() == ["V012", "V013"]


def test_exchanged_files_are_found(writer: OutputWriter) -> None:
    one, two = data(writer, 1), data(writer, 2)
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    assert set(writer.codes()) == {"V012"}


def test_a_file_that_is_gone_is_found(writer: OutputWriter) -> None:
    data(writer, 1).unlink()
    assert writer.codes() == ["V011"]


def test_a_file_that_is_no_parquet_is_found(writer: OutputWriter) -> None:
    data(writer, 1).write_bytes(b"PAR1")
    assert writer.codes() == ["V012", "V017"]


@pytest.mark.parametrize(
    "place",
    [
        "records/date=2026-11-25/extra.parquet",
        "records/date=2026-11-25/.hidden",
        "records/extra.csv",
        "quarantine/date=2026-11-24/x.parquet",
        "elsewhere/x.parquet",
        "notes.txt",
        ".staging/x",
        "ledger.db.ndjson",
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db-journal",
        "runs/zzz/x.ndjson",
    ],
)
def test_a_file_that_no_receipt_names_is_found(writer: OutputWriter, place: str) -> None:
    (writer.output / place).parent.mkdir(parents=True, exist_ok=True)
    (writer.output / place).write_bytes(b"x")
    findings = check(writer.output, keys=writer.keyring)
    assert [(each.code, each.file) for each in findings if each.severity == "error"] == [("V014", place)]


@pytest.mark.parametrize(("is_there", "codes"), [(True, ["V014"]), (False, [])])
def test_a_journal_that_vanishes_during_the_check_is_no_fault(
    writer: OutputWriter, monkeypatch: pytest.MonkeyPatch, is_there: bool, codes: list[str]
) -> None:
    listdir, name = os.listdir, "ledger.db-wal"
    if is_there:
        (writer.output / name).write_bytes(b"x")
    shown = {os.fspath(writer.output): {name}}
    monkeypatch.setattr(os, "listdir", lambda folder: sorted({*listdir(folder), *shown.get(os.fspath(folder), ())}))
    assert writer.codes() == codes


def test_a_link_to_another_folder_is_found(writer: OutputWriter, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (writer.output / "records" / "date=2026-11-26").symlink_to(tmp_path / "elsewhere")
    (writer.output / "more").symlink_to(tmp_path / "elsewhere")
    assert writer.codes() == ["V014", "V014"]


def test_a_file_that_became_a_link_is_found(writer: OutputWriter, tmp_path: Path) -> None:
    data(writer, 1).rename(tmp_path / "away.parquet")
    data(writer, 1).symlink_to(tmp_path / "away.parquet")
    assert writer.codes() == ["V011"]


def test_a_ledger_may_be_in_the_output_folder(writer: OutputWriter) -> None:
    (writer.output / "ledger.db").touch(mode=0o600)
    assert writer.codes() == []
    (writer.output / "ledger.db").unlink()
    with opened(find_ledger(writer.output / "ledger.db")) as ledger:
        ledger.find(API_TOKEN)
        assert writer.codes() == []
    (writer.output / "runs" / ".lock").touch()
    assert writer.codes() == []


def test_a_file_that_was_replaced_and_came_back_is_found(writer: OutputWriter) -> None:
    pq.write_table(table("a", "b"), data(writer, 0))
    assert writer.codes() == ["V014"]


def test_a_missing_success_is_found(writer: OutputWriter) -> None:
    (data(writer, 1).parent / "_SUCCESS").unlink()
    assert writer.codes() == ["V015"]


def test_a_policy_that_was_changed_is_found(writer: OutputWriter) -> None:
    edit(receipt_of(writer, 1).parent / "policy.yaml", '"keep"', '"size"')
    assert "V010" in writer.codes()


def test_a_policy_that_is_gone_is_found(writer: OutputWriter) -> None:
    (receipt_of(writer, 1).parent / "policy.yaml").unlink()
    assert writer.codes() == ["V010", "V010"]


@pytest.mark.parametrize("text", ["- a\n", "fields: [", "fields: {x: {do: {a: {}, b: {}}}}", "fields: {x: 1}", "\xff"])
def test_a_policy_that_is_none_is_found(tmp_path: Path, text: str) -> None:
    writer = OutputWriter(tmp_path)
    receipt = writer.run(POLICY, {"records": table("a")})
    (writer.output / "runs" / receipt.run_id / "policy.yaml").write_bytes(text.encode("latin-1"))
    assert writer.codes() == ["V010", "V010"]


def test_a_pipeline_that_was_changed_is_found(writer: OutputWriter) -> None:
    edit(receipt_of(writer, 1).parent / "pipeline.yaml", '"p"', '"q"')
    assert writer.codes() == ["V010"]


def test_an_unnamed_file_next_to_a_receipt_is_found(writer: OutputWriter) -> None:
    (receipt_of(writer, 1).parent / "more.txt").write_text("x")
    assert writer.codes() == ["V010"]


def test_a_policy_of_another_version_is_found(tmp_path: Path) -> None:
    writer = OutputWriter(tmp_path)
    writer.run({**POLICY, "version": 2}, {"records": table("a")})
    assert writer.codes() == ["V010"]


def _placed(tmp_path: Path, path: str) -> list[str]:
    """An output whose (signed) receipt puts its file there."""
    writer = OutputWriter(tmp_path)
    receipt = writer.run(POLICY, {"records": table("a")})
    writer.receipts.clear()
    output = receipt.outputs["records"]
    moved = replace(output.files[0], path=path)
    target = writer.output / path
    target.parent.mkdir(parents=True, exist_ok=True)
    (writer.output / output.files[0].path).rename(target)
    writer.sign(replace(receipt, outputs={"records": replace(output, files=(moved,))}))
    return writer.codes()


def test_a_path_out_of_the_output_is_found(tmp_path: Path) -> None:
    assert "V016" in _placed(tmp_path, "records/../../x.parquet")


@pytest.mark.parametrize(
    "path",
    [
        "other/date=2026-11-24/20261125T000001Z-0123456789ab-0.parquet",
        "records/date=2026-11-24/20261125T000009Z-0123456789ab-0.parquet",
        "records/date=2026-11-23/20261125T000001Z-0123456789ab-0.parquet",
        "records/date=24.11.2026/20261125T000001Z-0123456789ab-0.parquet",
    ],
)
def test_a_place_that_the_receipt_cannot_mean_is_found(tmp_path: Path, path: str) -> None:
    assert "V016" in _placed(tmp_path, path)


def _with_digest(writer: OutputWriter, digest: str) -> list[str]:
    """The codes found if the receipt of the last run has this digest for its file, signed again."""
    receipt = writer.receipts.pop()
    (output, file) = (receipt.outputs["records"], receipt.outputs["records"].files[0])
    changed = replace(output, files=(replace(file, digest=digest),))
    writer.sign(replace(receipt, outputs={"records": changed}))
    return writer.codes()


def test_a_receipt_of_an_earlier_version_is_verified_by_its_own_algorithm(writer: OutputWriter) -> None:
    right = hashlib.sha256(data(writer, 2).read_bytes()).hexdigest()
    assert _with_digest(writer, f"sha256:{right}") == []
    assert _with_digest(writer, f"sha256:{right[::-1]}") == ["V012"]


@pytest.mark.parametrize("form", ["md5:{}", "blake2:{}", "{}", "", "blake3:", "blake3:{}0", "BLAKE3:{}", "sha256:{}\n"])
def test_a_digest_of_an_unknown_algorithm_is_never_accepted(writer: OutputWriter, form: str) -> None:
    assert _with_digest(writer, form.format(64 * "0")) == ["V072"]


def test_an_unknown_algorithm_is_reported_with_the_known_ones(writer: OutputWriter) -> None:
    _with_digest(writer, "md5:0cc175b9c0f1b6a831c399e269772661")
    (finding,) = (each for each in check(writer.output, keys=writer.keyring) if each.code == "V072")
    assert (finding.severity, "blake3 and sha256" in finding.message) == ("error", True)


def test_the_digest_of_an_input_is_of_a_known_algorithm(tmp_path: Path) -> None:
    writer = OutputWriter(tmp_path)
    writer.run(POLICY, {"records": table("a")}, inputs=(InputFile("a.ndjson", "md5:0", 1),))
    assert writer.codes() == ["V072"]


def test_replacing_a_file_that_never_existed_is_found(tmp_path: Path) -> None:
    writer = OutputWriter(tmp_path)
    writer.run(POLICY, {"records": table("a")}, replaces=(FileRef("records/x.parquet", "sha256:0"),))
    assert writer.codes() == ["V006"]


def test_an_imbalance_that_was_signed_is_found(tmp_path: Path) -> None:
    import base64

    from minimize.receipts import canonical_json

    writer = OutputWriter(tmp_path)
    receipt = writer.run(POLICY, {"records": table("a")})
    raw = receipt.to_json()
    del raw["signature"]
    raw["rows"]["read"] = 5
    key, value = writer.keyring.sign(canonical_json(raw))
    raw["signature"] = {"algorithm": "ed25519", "key": key, "value": base64.b64encode(value).decode()}
    receipt_of(writer, 0).write_text(json.dumps(raw))
    assert Receipt.from_json(json.dumps(raw)).rows.read == 5
    assert writer.codes() == ["V005"]


def test_an_output_without_a_date_is_verified(tmp_path: Path) -> None:
    writer = OutputWriter(tmp_path)
    writer.run(POLICY, {"records": table("a")}, date=None)
    assert writer.codes() == []


def test_an_empty_output_is_verified(tmp_path: Path) -> None:
    writer = OutputWriter(tmp_path)
    writer.run(POLICY, {"records": table()})
    assert writer.codes() == []


def test_the_error_states_the_count_and_carries_the_findings(writer: OutputWriter) -> None:
    data(writer, 1).unlink()
    with pytest.raises(VerificationError, match="1 finding:") as caught:
        verify(writer.output, keys=writer.keyring)
    assert [finding.code for finding in caught.value.findings] == ["V011", "V008"]
    assert caught.value.exit_code == 1


def test_a_success_mark_that_holds_something_is_found(writer: OutputWriter) -> None:
    (data(writer, 1).parent / "_SUCCESS").write_text("what nobody should keep here")
    assert writer.codes() == ["V014"]


@pytest.mark.parametrize("name", ["notes.txt", ".lock"])
def test_a_file_between_the_runs_is_found(writer: OutputWriter, name: str) -> None:
    (writer.output / "runs" / name).write_text("what nobody should keep here")
    assert writer.codes() == ["V014"]


def test_the_empty_lock_between_the_runs_is_accepted(writer: OutputWriter) -> None:
    (writer.output / "runs" / ".lock").touch()
    assert writer.codes() == []


def test_more_in_a_signature_than_itself_is_found(writer: OutputWriter) -> None:
    edit(receipt_of(writer, 2), '"algorithm"', '"more": "unsigned", "algorithm"')
    assert writer.codes() == ["V004"]


def test_a_time_without_a_zone_is_no_receipt(writer: OutputWriter) -> None:
    edit(receipt_of(writer, 2), '"at": "2026-11-25T00:00:00Z"', '"at": "2026-11-25T00:00:00"')
    assert "V001" in writer.codes()


def test_every_code_is_described() -> None:
    assert all(code.startswith("V") and text for code, text in CODES.items())
