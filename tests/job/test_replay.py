"""`replay`: quarantined records under the policy of today, read from the source by their position."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError, RefusedError
from minimize.job.replay import Replayed, recheck, replay
from tests.job.house import AT, BEFORE, DAY, House, event, events, table

LATER = AT + timedelta(hours=1)
LEVEL = {"type": "string", "do": "keep"}
MISTYPED = [event(40, storage="much"), event(41, storage="little")]
NO_RULES = {"aggregates": None}


def sha256(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def again(house: House, **asked: Any) -> Replayed:
    given: dict[str, Any] = {"at": LATER, "keys": house.keys} | asked
    return replay(house.out, **given)


def lenient(house: House) -> None:
    """The policy of today does not know the field that was mistyped."""
    house.policy({"storage": None})
    house.pipeline(**NO_RULES)


def strict_house(house: House) -> None:
    house.pipeline(**NO_RULES)


def test_a_date_of_which_a_record_passes_now_is_run_anew_whole(house: House) -> None:
    strict_house(house)
    house.brings([*events(30), "broken", *MISTYPED])
    before = house.run()
    lenient(house)
    done = again(house)
    assert [receipt.kind for receipt in done.receipts] == ["replay"]
    receipt = done.receipts[0]
    assert (receipt.sequence, receipt.previous, receipt.dates) == (2, before.digest, (DAY,))
    assert (receipt.rows.read, receipt.rows.written, receipt.rows.quarantined) == (33, 32, 1)
    assert len(house.rows()) == 32
    minimize.verify(house.out, keys=house.keys)


def test_a_replay_gives_what_a_run_of_today_would_give(house: House) -> None:
    strict_house(house)
    house.brings([*events(30), *MISTYPED])
    house.run()
    lenient(house)
    again(house)
    house.run(at=LATER, output=house.folder / "other")
    assert house.rows() == house.rows(output=house.folder / "other")


def test_a_date_of_which_nothing_passes_is_left_alone(house: House) -> None:
    strict_house(house)
    house.brings([*events(30), *MISTYPED])
    house.brings([*events(30, 100), "broken"], day=BEFORE)
    house.run()
    kept = {file for file in house.files() if BEFORE in file}
    lenient(house)
    done = again(house)
    assert [(each.held.day, each.rows, each.held.rows) for each in done.looked_at] == [(BEFORE, 0, 1), (DAY, 2, 2)]
    assert [receipt.dates for receipt in done.receipts] == [(DAY,)]
    assert kept <= house.files()


def test_nothing_in_quarantine_is_nothing_to_do(house: House) -> None:
    house.brings(events(30))
    house.run()
    assert again(house) == Replayed([], [])


def test_where_nothing_passes_nothing_is_published(house: House) -> None:
    house.brings([*events(30), "broken"])
    house.run()
    stood = house.files()
    assert again(house).receipts == []
    assert house.files() == stood


def test_a_second_replay_has_nothing_left_to_do(house: House) -> None:
    strict_house(house)
    house.brings([*events(30), "broken", *MISTYPED])
    house.run()
    lenient(house)
    again(house)
    assert again(house, at=LATER + timedelta(hours=1)).receipts == []


def test_one_date_alone_can_be_asked_for(house: House) -> None:
    strict_house(house)
    for day in (DAY, BEFORE):
        house.brings([*events(30), *MISTYPED], day=day)
    house.run()
    lenient(house)
    assert [receipt.dates for receipt in again(house, date=BEFORE).receipts] == [(BEFORE,)]


def test_a_source_that_changed_is_refused_with_both_digests(house: House) -> None:
    path = house.brings([*events(30), "broken"])
    before = sha256(path)
    house.run()
    house.brings([*events(30), "mended"])
    with pytest.raises(RefusedError) as caught:
        again(house)
    (finding,) = caught.value.findings
    assert (finding.code, finding.file) == ("R011", f"{DAY}/a.ndjson.gz")
    assert before in finding.message
    assert sha256(path) in finding.message


def test_a_source_that_vanished_is_refused(house: House) -> None:
    path = house.brings([*events(30), "broken"])
    before = sha256(path)
    house.run()
    path.unlink()
    with pytest.raises(RefusedError) as caught:
        again(house)
    assert [(each.code, before in each.message) for each in caught.value.findings] == [("R012", True)]


@pytest.mark.parametrize("gone", [True, False])
def test_another_input_of_the_date_that_changed_or_vanished_is_refused_too(house: House, gone: bool) -> None:
    strict_house(house)
    house.brings([*events(30), *MISTYPED])
    other = house.brings(events(5, 200), name="b")
    house.run()
    lenient(house)
    if gone:
        other.unlink()
    else:
        house.brings(events(6, 200), name="b")
    with pytest.raises(RefusedError):
        again(house)
    assert len(house.rows()) == 35


def test_what_became_of_another_date_of_the_receipt_does_not_matter(house: House) -> None:
    strict_house(house)
    house.brings([*events(30), *MISTYPED])
    other = house.brings(events(5, 200), day=BEFORE)
    house.run()
    other.unlink()
    lenient(house)
    assert [receipt.dates for receipt in again(house).receipts] == [(DAY,)]


def test_all_that_changed_is_told_at_once_and_nothing_is_run(house: House) -> None:
    strict_house(house)
    for day in (DAY, BEFORE):
        house.brings([*events(30), *MISTYPED], day=day)
        house.brings([*events(30), "broken"], day=day, name="b")
    house.run()
    lenient(house)
    for day in (DAY, BEFORE):
        house.brings(["other"], day=day, name="b")
    with pytest.raises(RefusedError) as caught:
        again(house)
    assert [each.file for each in caught.value.findings] == [f"{day}/b.ndjson.gz" for day in (BEFORE, DAY)]
    assert len(minimize.read(house.out)) == 120


def test_a_late_file_of_the_date_is_read_with_the_rest(house: House) -> None:
    strict_house(house)
    house.brings([*events(30), *MISTYPED])
    house.run()
    lenient(house)
    house.brings(events(5, 200), name="late")
    assert again(house).receipts[0].rows.written == 37


def test_settings_are_those_of_today(house: House) -> None:
    strict_house(house)
    house.brings([*events(30), *MISTYPED])
    house.run()
    lenient(house)
    settings = house.folder / "settings.csv"
    settings.write_text(settings.read_text().replace(",on,", ",off,"))
    again(house)
    assert {row["latitude"] for row in house.rows()} == {None}


def test_input_and_settings_that_a_run_was_given_are_found_again(house: House) -> None:
    strict_house(house)
    house.brings([*events(30), *MISTYPED], root="elsewhere")
    off = house.folder / "off.csv"
    off.write_text((house.folder / "settings.csv").read_text().replace(",on,", ",off,"))
    receipt = house.run(input=house.folder / "elsewhere/{date}/*.ndjson.gz", settings=off)
    assert receipt.origin is not None
    assert receipt.origin.input == "../elsewhere/{date}/*.ndjson.gz"
    lenient(house)
    assert again(house).receipts[0].rows.written == 32
    assert {row["latitude"] for row in house.rows()} == {None}


def test_an_input_that_a_run_was_given_and_that_is_gone_is_refused(house: House) -> None:
    house.brings([*events(30), "broken"], root="elsewhere")
    house.run(input=house.folder / "elsewhere/{date}/*.ndjson.gz")
    (house.folder / "elsewhere").rename(house.folder / "moved")
    with pytest.raises(RefusedError):
        again(house)
    assert again(house, input=house.folder / "moved/{date}/*.ndjson.gz").looked_at[0].held.rows == 1


def test_an_output_far_from_its_pipeline_knows_where_that_lies(house: House, tmp_path_factory: Any) -> None:
    far = tmp_path_factory.mktemp("far") / "out"
    house.brings([*events(30), "broken"])
    receipt = house.run(output=far)
    assert receipt.origin is not None
    assert (receipt.origin.input, receipt.origin.settings) == (None, None)
    assert [each.held.rows for each in replay(far, at=LATER, keys=house.keys).looked_at] == [1]


def test_a_pipeline_near_its_output_is_not_written_down(house: House) -> None:
    house.brings(events(30))
    assert house.run().origin is None


def test_a_pipeline_that_moved_is_named(house: House) -> None:
    house.brings([*events(30), "broken"])
    house.run()
    (house.folder / "moved").mkdir()
    for name in ("pipeline.yaml", "policy.yaml", "settings.csv"):
        (house.folder / name).rename(house.folder / "moved" / name)
    with pytest.raises(ConfigurationError, match="not known"):
        again(house)
    (house.folder / "data").rename(house.folder / "moved/data")
    assert again(house, pipeline=house.folder / "moved").receipts == []


def test_another_pipeline_is_refused(house: House) -> None:
    house.brings([*events(30), "broken"])
    house.run()
    house.pipeline(pipeline="other")
    with pytest.raises(ConfigurationError, match="is called other"):
        again(house, pipeline=house.folder)


def test_a_source_without_dates_is_run_anew_whole(house: House) -> None:
    house.pipeline(source={"path": f"data/{DAY}/*.ndjson.gz", "format": "ndjson"}, **NO_RULES)
    house.brings([*events(30), *MISTYPED])
    house.run()
    house.policy({"storage": None})
    receipt = again(house).receipts[0]
    assert (receipt.dates, receipt.rows.written) == ((), 32)


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
def test_every_format_is_read_by_position(house: House, kind: str) -> None:
    rows = table([*events(30), event(40, device_id=None)])
    if kind == "ndjson":
        house.reads("ndjson", **NO_RULES)
        path = house.folder / "data" / DAY / "a.ndjson"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(map(json.dumps, [*events(30), event(40, device_id=None)])))
    else:
        house.reads(kind, **NO_RULES)
        options: dict[str, Any] = {"row_group_size": 7} if kind == "parquet" else {}
        house.columns(rows, kind=kind, **options)
    house.run()
    assert [each.rows for each in recheck(house.out, at=LATER, keys=house.keys)] == [0]
    house.policy({"device_id": None, "model": LEVEL}, subject="tenant_id")
    assert next(each.passing for each in recheck(house.out, at=LATER, keys=house.keys)).keys() == {f"{DAY}/a.{kind}"}
    assert again(house).receipts[0].rows.written == 31


def test_aggregates_follow(house: House) -> None:
    house.pipeline(quarantine={})
    house.brings([*events(30), *[event(number, contacts=["x"]) for number in range(40, 70)]])
    house.run()
    before = sum(row["events"] for row in house.rows("per_model"))
    house.policy(never=None)
    again(house)
    assert before == 30
    assert sum(row["events"] for row in house.rows("per_model")) == 60
    minimize.verify(house.out, keys=house.keys)


def test_a_path_that_may_hold_a_value_is_not_written_down(house: House) -> None:
    house.brings(events(30), root="tenant_id=north")
    house.brings(events(30), root="ann@example.com")
    for root in ("tenant_id=north", "ann@example.com"):
        receipt = house.run(input=house.folder / root / "{date}/*.ndjson.gz", output=house.folder / f"{root[:3]}-out")
        assert receipt.origin is None


def test_the_places_that_a_receipt_names_do_not_depend_on_the_current_folder(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.brings([*events(30), "broken"])
    house.run()
    monkeypatch.chdir("/")
    assert [each.held.rows for each in again(house).looked_at] == [1]


def test_an_encrypted_output_is_replayed_and_stays_encrypted(house: House) -> None:
    house.pipeline(**NO_RULES, records={"encrypt": "by_category"})
    house.brings([*events(30), *MISTYPED])
    house.run()
    house.policy({"storage": None})
    [receipt] = again(house).receipts
    assert (receipt.kind, receipt.rows.written) == ("replay", 32)
    assert receipt.outputs["records"].files[0].keys == ("encrypt.footer/1", "encrypt.pseudonymized/1")
    assert len(house.rows(keys=house.keys)) == 32
    minimize.verify(house.out, keys=house.keys)
