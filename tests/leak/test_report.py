"""No planted value, no pseudonym and no small count stands in a report, as a page, as JSON or in lines."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import MinimizeError
from minimize.keys import new_keyring
from minimize.report import OutputReport, create_report
from tests.leak.planted import ALL, AT, VALUE, build
from tests.leak.sweep import found
from tests.leak.test_printed import whole


@pytest.fixture(scope="module", name="ran")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build(tmp_path_factory.mktemp("organization"))
    keys = new_keyring(folder / "keys", ["device", "ticket"], now=datetime.fromisoformat(AT))
    minimize.run(folder, at=AT, output=folder / "out", keys=keys, ledger=folder / "ledger.db")
    return folder


def told(folder: Path) -> OutputReport:
    places: dict[str, Any] = {"pipeline": folder, "keys": folder / "keys", "ledger": folder / "ledger.db"}
    return create_report(folder / "out", at=AT, source=True, **places)


def every(report: OutputReport) -> bytes:
    return "\n".join([report.html(), json.dumps(report.to_json()), report.summary(), repr(report)]).encode()


def test_no_canary_is_in_a_report(ran: Path) -> None:
    assert found(ALL, every(told(ran))) == set()


def test_the_source_was_read_for_it(ran: Path) -> None:
    assert any(each.before_how == "counted" for each in told(ran).facts.fields)


def test_the_sweep_would_find_one_in_a_page(ran: Path) -> None:
    page = told(ran).html().replace("</main>", f"{VALUE['dropped text']}</main>")
    assert found(ALL, page.encode()) == {"dropped text"}


def test_no_pseudonym_is_in_a_report(ran: Path) -> None:
    text = every(told(ran)).decode()
    pseudonyms = minimize.read(ran / "out", keys=ran / "keys")["device_id"].drop_null().unique().to_pylist()
    assert pseudonyms
    assert not [each for each in pseudonyms if each in text]


def test_every_count_of_a_report_is_a_multiple_of_five(ran: Path) -> None:
    body = told(ran).to_json()
    counts = [body["flow"]["written"], *body["flow"]["gated"].values(), *body["flow"]["quarantined"].values()]
    counts += [each[name] for each in body["fields"] for name in ("values", "changed", "before", "after")]
    counts += [number for each in body["fields"] for number in each["dropped"].values()]
    counts += [*body["undeclared"].values(), *(each["rows"] for each in body["retention"]["partitions"])]
    assert not [number for number in counts if isinstance(number, int) and number % 5]


def test_an_error_of_a_report_holds_nothing(ran: Path) -> None:
    next((ran / "out" / "runs").rglob("receipt.json")).write_text(str(VALUE["dropped text"]))
    with pytest.raises(MinimizeError) as raised:
        told(ran)
    assert found(ALL, "\n".join(whole(raised.value)).encode()) == set()
