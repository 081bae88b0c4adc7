"""Lines through DuckDB, brought to our result: strict types, byte positions, what must not arrive, what nobody declared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from benchmarks.contenders.ingest import DECLARED, DOUBLES, INTEGERS, NEVER, REQUIRED, TIME, Piece, finish
from benchmarks.contenders.ingest_duckdb_lenient import TYPES
from benchmarks.given import Given

_VARCHAR = "'VARCHAR'"
_WHOLE = "'BIGINT', 'UBIGINT'"
_ALLOWED = {**dict.fromkeys(DOUBLES, f"{_WHOLE}, 'HUGEINT', 'DOUBLE'"), **dict.fromkeys(INTEGERS, _WHOLE)}
_PATHS = ", ".join(f"'$.{name}'" for name in (*DECLARED, NEVER))
_SHAPE = "{" + ", ".join(f'"{name}":"{TYPES.get(name, "VARCHAR")}"' for name in DECLARED) + "}"
_NAMES = ", ".join(f"'{name}'" for name in DECLARED)
_LINES = (
    "read_csv(getvariable('path'), columns = {'line': 'VARCHAR'}, auto_detect = false, header = false, "
    "delim = '\x01', quote = '', escape = '', max_line_size = 20000000)"
)


def _wrong() -> str:
    cases = []
    for place, name in enumerate(DECLARED, 1):
        cases.append(f"WHEN kinds[{place}] NOT IN ('NULL', {_ALLOWED.get(name, _VARCHAR)}) THEN 'wrong_type /{name}'")
        if name == TIME:
            cases.append(f"WHEN kinds[{place}] = {_VARCHAR} AND record.{name} IS NULL THEN 'bad_time /{name}'")
    return " ".join(cases)


def _missing() -> str:
    places = [(DECLARED.index(name) + 1, name) for name in REQUIRED]
    return " ".join(
        f"WHEN coalesce(kinds[{place}], 'NULL') = 'NULL' THEN 'missing_field /{name}'" for place, name in places
    )


CHECKED = f"""
    CREATE TEMP TABLE checked AS
    SELECT * EXCLUDE (kinds, is_object, line), CASE
        WHEN is_object IS NOT TRUE OR len(list_distinct(names)) <> len(names) THEN 'malformed'
        WHEN kinds[{len(DECLARED) + 1}] <> 'NULL' THEN 'forbidden_field /{NEVER}'
        {_wrong()} {_missing()} END AS fault
    FROM (
        SELECT *, CASE WHEN is_object THEN json_type(line, [{_PATHS}]) END AS kinds,
            CASE WHEN is_object THEN json_keys(line) END AS names,
            CASE WHEN is_object THEN json_transform(line, '{_SHAPE}') END AS record
        FROM (
            SELECT line, CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' END AS is_object,
                (sum(strlen(line) + 1) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
                    - strlen(line) - 1)::BIGINT AS position
            FROM {_LINES}
        )
    )
"""
REJECTS = "SELECT position, nullif(split_part(fault, ' ', 2), ''), split_part(fault, ' ', 1) FROM checked WHERE fault IS NOT NULL"
UNDECLARED = f"""
    SELECT name, count(*) FROM (
        SELECT unnest(names) AS name FROM checked WHERE fault IS NULL AND NOT list_has_all([{_NAMES}], names)
    ) WHERE name NOT IN ({_NAMES}) GROUP BY name
"""


def run(given: Given, out: Path) -> None:
    """The lines checked once, then the good ones to Arrow."""
    finish(_pieces(given), out)


def _pieces(given: Given) -> Iterator[Piece]:
    with duckdb.connect() as database:
        database.execute("SET threads = 2; SET preserve_insertion_order = true; SET TimeZone = 'UTC'")
        database.execute("SET VARIABLE path = $1", [str(given.lines)])
        database.execute(CHECKED)
        rejects, undeclared = database.sql(REJECTS).fetchall(), dict(database.sql(UNDECLARED).fetchall())
        good = database.sql("SELECT unnest(record) FROM checked WHERE fault IS NULL").to_arrow_reader(100_000)
        yield Piece(good.schema.empty_table(), rejects, undeclared)
        yield from map(Piece, good)
