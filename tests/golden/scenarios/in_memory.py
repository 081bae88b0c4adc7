"""The functions of the package on data in memory and on files: the kinds of data, their rows and schemas, and the errors."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import pandas as pd
import pyarrow as pa

import minimize
from minimize.settings.erasures import warn_unknown_erasures
from tests.golden.organization import CANARIES, DAYS, PIPELINE, POLICY, VENDOR, checkin
from tests.golden.runner import KEYRING, SECOND, Session
from tests.golden.third_parties import OFFERED, SIGNED

AT = "2026-11-25T00:00:00Z"
AS_OLD_AS_THE_RETENTION = ("2026-10-26T00:00:00Z", "2026-10-26T00:00:01Z")
"""At AT the first one is past the retention of 30 days; the second one is not."""
TIME = pa.timestamp("us", "UTC")
PLACES: Final = "--recipients recipients --ledger ledger.db"


def steps(session: Session) -> None:
    """Applies, prepares, shares, runs, reads and verifies."""
    warn_unknown_erasures.cache_clear()
    session.write("minimize.yaml", {"access": "off", "encrypt": "off"})
    session.write("signed.txt", "A signed form.\n")
    session.write("policy.yaml", POLICY)
    session.write("settings.csv", SETTINGS)
    session.write("recipients/vendor.yaml", VENDOR)
    session.canaries += [canary for name, canary in CANARIES.items() if name != "undeclared"]
    data = _table()
    given: dict[str, Any] = {"purpose": "operations", "keys": KEYRING, "at": AT, "settings": "settings.csv"}

    session.call("load_policy", lambda: minimize.load_policy("policy.yaml"))
    session.call("load_policy: a file that is missing", lambda: minimize.load_policy("none.yaml"))
    policy = minimize.load_policy("policy.yaml")
    applied = session.call("apply: Arrow table", lambda: minimize.apply(policy, data, **given))
    session.call("apply: its schema", lambda: {f.name: [str(f.type), _texts(f.metadata)] for f in applied.schema})
    session.call("apply: record batch", lambda: minimize.apply(policy, data.to_batches()[0], **given))
    session.call("apply: pandas", lambda: minimize.apply("policy.yaml", data.to_pandas(), **given))
    session.call("apply: pandas accessor", lambda: _accessor(data.to_pandas(), given))
    reader = pa.RecordBatchReader.from_batches(data.schema, data.to_batches(max_chunksize=7))
    session.call("apply: reader", lambda: minimize.apply(policy, reader, **given).read_all())
    session.call("apply: without settings", lambda: minimize.apply(policy, data, **{**given, "settings": None}))
    session.call("apply: another purpose", lambda: minimize.apply(policy, data, **{**given, "purpose": "marketing"}))
    session.call("apply: keys of the environment", lambda: minimize.apply(policy, data, **{**given, "keys": None}))
    session.call("apply: later", lambda: minimize.apply(policy, data, **{**given, "at": "2026-12-24T12:00:00Z"}))
    session.call("apply: a column is missing", lambda: minimize.apply(policy, data.drop_columns(["model"]), **given))
    wrong = data.set_column(0, "event_id", pa.array(range(data.num_rows)))
    session.call("apply: a column of another type", lambda: minimize.apply(policy, wrong, **given))

    timeless = data.slice(0, 2).set_column(data.schema.names.index("event_time"), "event_time", pa.nulls(2, TIME))
    session.call("apply: records without a time", lambda: minimize.apply(policy, timeless, **given))

    session.write("own.csv", SETTINGS + OWN)
    session.call("apply: padded ids", lambda: minimize.apply(policy, _padded(data), **{**given, "settings": "own.csv"}))

    words = {key: value for key, value in given.items() if key != "at"}
    minimizer = session.call("prepare", lambda: minimize.prepare(policy, data.schema, **words))
    session.call("prepare: a batch", lambda: minimizer(data.to_batches()[0], at=datetime.fromisoformat(AT)))

    session.call("prepare: the account of the last call", lambda: minimizer.last.to_json())
    session.call("apply: with its account", lambda: minimize.apply(policy, data, **given, counts=True)[1].to_json())

    _shares(session, policy, data)
    _erasures(session, policy, data, given)
    _files(session)


def _erasures(session: Session, policy: Any, data: pa.Table, given: dict[str, Any]) -> None:
    words = {**given, "ledger": "ledger.db", "counts": True}
    session.call("apply: nobody was erased", lambda: minimize.apply(policy, data, **words)[1].to_json())
    session.run("events add north erasure --subject d-0 --ledger ledger.db --json")
    session.call("apply: a subject was erased", lambda: minimize.apply(policy, data, **words)[1].to_json())
    session.call("apply: no such ledger", lambda: minimize.apply(policy, data, **{**words, "ledger": "none.db"}))


def _shares(session: Session, policy: Any, data: pa.Table) -> None:
    words: dict[str, Any] = {"recipient": "vendor", "function": "sync", "policy": policy, "keys": KEYRING}
    words |= {"ledger": "ledger.db", "recipients": "recipients", "settings": "settings.csv"}
    session.call("share: no ledger", lambda: minimize.share(data, **words))
    session.run(f"contract record north vendor {OFFERED} {PLACES}")
    session.run(f"consent give north vendor sync {SIGNED} --since 2026-11-01T00:00:00Z {PLACES}")
    session.run(f"consent confirm north vendor sync {SIGNED} --ledger ledger.db", actor=SECOND)
    session.call("share: what would leave", lambda: minimize.share(data, **words, dry_run=True))
    shared = session.call("share: what leaves", lambda: minimize.share(data, **words))
    session.call("share: one field", lambda: minimize.share(data, **words, fields=["model"]))
    session.call(
        "receive: nothing is inbound",
        lambda: minimize.receive(shared, sender="vendor", function="sync", recipients="recipients"),
    )


def _files(session: Session) -> None:
    source = {**PIPELINE["source"], "path": "data/{date}/*.ndjson.gz"}
    session.write("pipeline.yaml", {**PIPELINE, "source": source})
    session.replace("pipeline.yaml", '"settings": "ledger"', '"settings": "settings.csv"')
    session.replace("pipeline.yaml", "../out/checkins", "out")
    for day in DAYS:
        session.write(f"data/{day}/a.ndjson.gz", [checkin(number, day) for number in range(24)])
    session.call("load_pipeline", lambda: minimize.load_pipeline("."))
    session.call("lint", lambda: minimize.lint("."))
    session.call("make_plan", lambda: minimize.make_plan("."))
    session.call("run", lambda: minimize.run("."))
    session.call("run: one date", lambda: minimize.run(".", date=DAYS[1]))
    session.call("run: no such engine", lambda: minimize.run(".", engine="abacus"))
    session.call("verify", lambda: minimize.verify("out"))
    session.call("files", lambda: minimize.files("out"))
    session.call("read: records", lambda: minimize.read("out"))
    session.call("read: an aggregate of one date", lambda: minimize.read("out", "per_day", dates=[DAYS[0]]))
    session.call("read: no such output", lambda: minimize.read("out", "none"))
    session.call("open: without an access file", lambda: minimize.open_dataset("out"))
    written = min((session.folder / "out" / "records").rglob("*.parquet"))
    written.write_bytes(written.read_bytes() + b"?")
    session.call("verify: a file was changed", lambda: minimize.verify("out"))


SETTINGS = """\
tenant_id,subject,setting,value,holder,valid_from,recorded_at
north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
"""
OWN = "north\u00a0,d-7 ,location,off,user,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
"""What one subject switched off, with blanks around its id and its tenant's."""


def _padded(data: pa.Table) -> pa.Table:
    """Records of one subject whose id is written in several ways, one of another, and one of nobody."""
    for name, ids in {
        "device_id": ["d-7", "d-7 ", "\u00a0d-7", "d-7\u200b", "d-8", " "],
        "tenant_id": ["north", " north", "north\ufeff", "north", "north", "north"],
    }.items():
        place = data.schema.names.index(name)
        data = data.slice(0, len(ids)).set_column(place, name, pa.array(ids))
    return data


def _table() -> pa.Table:
    rows = [checkin(number, day) for day in DAYS for number in range(12)]
    rows.append({**rows[0], **{name: canary.value for name, canary in CANARIES.items() if name != "undeclared"}})
    rows.append({**rows[1], "event_time": "2026-11-27T00:00:00Z"})
    rows.append({**rows[2], "event_time": "2026-01-01T00:00:00Z"})
    rows += [{**rows[0], "event_time": time} for time in AS_OLD_AS_THE_RETENTION]
    rows.append({**rows[3], "tenant_id": None})
    table = pa.Table.from_pylist([{**row, "event_time": datetime.fromisoformat(row["event_time"])} for row in rows])
    return table.set_column(table.schema.names.index("event_time"), "event_time", table["event_time"].cast(TIME))


def _accessor(frame: pd.DataFrame, given: dict[str, Any]) -> Any:
    __import__("minimize.pandas")
    return frame.minimize("policy.yaml", **given)  # type: ignore[operator]


def _texts(metadata: dict[bytes, bytes] | None) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (metadata or {}).items()}
