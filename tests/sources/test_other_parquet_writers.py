"""Parquet files of other writers: the check of the footer refuses none of them, and their values are read.

The check reads bytes that pyarrow would fail on. A valid file that it refuses would be called damaged.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.engines.spark import spark_context
from minimize.keys.parquet_footer import check_footer
from tests.project import DAY, Project, events, table
from tests.sparking import want_spark

if TYPE_CHECKING:
    from collections.abc import Callable

QUERY = """
select i as "int", (i % 100)::tinyint as tiny, i::usmallint as small, i::ubigint as big, i::hugeint as huge, i / 3 as "double",
    (i / 3)::float as "float", (i / 7)::decimal(9, 2) as dec4, (i / 7)::decimal(18, 4) as dec8, (i / 7)::decimal(38, 9) as dec16,
    i % 2 = 0 as bool, case when i % 3 = 0 then null else 'text ' || i end as text, ('x' || i)::blob as blob,
    date '2026-11-24' + i::int as day, timestamp '2026-11-24 00:00:00' + interval (i) minute as ts,
    timestamptz '2026-11-24 00:00:00Z' as tz, timestamp_ns '2026-11-24 00:00:00.123456789' as ns,
    time '12:30:00' as tod, interval (i) hour as span, uuid() as id, ['a', null, 'b'] as list, []::int[] as empty_list,
    [[1], [2, 3]] as deep,
    {'x': i, 'y': {'z': 'v', 'n': null}} as struct, map {'k': i, 'l': null} as map, [{'n': i, 'm': map {'a': [i]}}] as nested,
    'north'::enum('north', 'south') as word, null as nothing, null::int as no_int
from range({rows}) t(i)
"""


def by_duckdb(path: Path, rows: int, options: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        query = QUERY.replace("{rows}", str(rows))
        connection.execute(f"copy ({query}) to '{path}' (format parquet{options})")


@pytest.mark.parametrize("rows", [0, 1, 5000])
@pytest.mark.parametrize(
    "options",
    [
        "",
        ", parquet_version v2",
        ", compression uncompressed",
        ", compression gzip",
        ", compression zstd, row_group_size 2048",
        ", compression brotli, dictionary_size_limit 1",
        ", compression lz4_raw, parquet_version v2, row_group_size 2048",
    ],
)
def test_files_of_duckdb_pass_the_check_of_the_footer(tmp_path: Path, rows: int, options: str) -> None:
    path = tmp_path / "a.parquet"
    by_duckdb(path, rows, options)
    assert not check_footer(path).masters


def frame(rows: int) -> pl.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        columns = connection.sql(QUERY.replace("{rows}", str(rows))).to_arrow_table()
    other = ("span", "huge", "map", "nested", "nothing")
    found = pl.from_arrow(columns.drop_columns([name for name in columns.column_names if name in other]))
    assert isinstance(found, pl.DataFrame)
    return found.with_columns(
        pl.lit(None).alias("nothing"),
        pl.col("text").cast(pl.Categorical).alias("category"),
        pl.lit(5).cast(pl.Duration("us")).alias("duration"),
        pl.lit(3).cast(pl.Int128).alias("wide"),
    )


@pytest.mark.parametrize("rows", [0, 1, 5000])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"statistics": "full"},
        {"statistics": False, "compression": "uncompressed"},
        {"compression": "gzip", "row_group_size": 700},
        {"compression": "lz4", "data_page_size": 512},
    ],
)
def test_files_of_polars_pass_the_check_of_the_footer(tmp_path: Path, rows: int, options: dict[str, Any]) -> None:
    path = tmp_path / "a.parquet"
    frame(rows).write_parquet(path, **options)
    assert not check_footer(path).masters


@pytest.mark.parametrize("rows", [0, 1, 5000])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"data_page_version": "2.0", "write_page_checksum": True, "write_page_index": True},
        {
            "version": "1.0",
            "use_dictionary": False,
            "row_group_size": 700,
            "coerce_timestamps": "us",
            "allow_truncated_timestamps": True,
        },
        {"write_statistics": False, "store_schema": False, "store_decimal_as_integer": True},
        {"use_byte_stream_split": ["double", "float"], "use_dictionary": False, "compression": "none"},
        {"use_deprecated_int96_timestamps": True, "use_compliant_nested_type": False, "compression": "brotli"},
    ],
)
def test_files_of_pyarrow_pass_the_check_of_the_footer(tmp_path: Path, rows: int, options: dict[str, Any]) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        columns = connection.sql(QUERY.replace("{rows}", str(rows))).to_arrow_table().drop_columns(["span"])
    pq.write_table(columns, tmp_path / "a.parquet", **options)
    assert not check_footer(tmp_path / "a.parquet").masters


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_files_of_spark_pass_the_check_of_the_footer(tmp_path: Path, version: str) -> None:
    want_spark()
    spark_context()
    session = import_module("pyspark.sql").SparkSession.getActiveSession()
    query = """
        select id, cast(id % 100 as byte) b, cast(id as float) f, cast(id / 7 as decimal(9, 2)) d4,
            cast(id / 7 as decimal(38, 9)) d16,
            id % 2 = 0 as bool, if(id % 3 = 0, null, concat('text ', id)) as text, cast(concat('x', id) as binary) as blob,
            date'2026-11-24' as day, timestamp'2026-11-24 00:00:00' as ts, timestamp_ntz'2026-11-24 00:00:00' as ntz,
            array('a', null) as list, cast(array() as array<int>) as empty, map('k', id) as map,
            named_struct('x', id, 'y', array(named_struct('n', id))) as s
        from range({rows})
    """
    for rows in (0, 1, 5000):
        target = tmp_path / f"{rows}"
        made = session.sql(query.replace("{rows}", str(rows))).coalesce(1)
        made.write.option("parquet.writer.version", "PARQUET_1_0" if version == "v1" else "PARQUET_2_0").option(
            "parquet.page.write-checksum.enabled", "true"
        ).parquet(str(target))
        files = list(target.glob("*.parquet"))
        assert files
        assert [dict(check_footer(path).masters) for path in files] == [{}] * len(files)


WRITERS: dict[str, Callable[[pa.Table, Path], object]] = {
    "duckdb": lambda rows, path: duckdb.from_arrow(rows).write_parquet(str(path)),
    "polars": lambda rows, path: pl.DataFrame(rows).write_parquet(path),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_the_records_of_another_writer_are_read_as_those_of_pyarrow(project: Project, writer: str) -> None:
    rows = table(events(40))
    project.source("parquet", aggregates=None)
    path = project.columns(rows)
    project.run(date=DAY)
    expected = project.rows()
    WRITERS[writer](rows, path)
    project.run(date=DAY)
    assert project.rows() == expected
    assert len(expected) == 40


def test_the_control_refuses_a_file_whose_row_count_is_wrong(tmp_path: Path) -> None:
    """As a file of parquet-testing is: its footer has 0 rows, its row groups have 6."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": range(100)}), path, store_schema=False)
    content = path.read_bytes()
    place = content.rindex(b"\x16\xc8\x01\x19")  # `num_rows`, a zigzag number, before the list of row groups
    path.write_bytes(content[:place] + b"\x16\xc6\x01\x19" + content[place + 4 :])
    with pytest.raises(pa.ArrowInvalid):
        check_footer(path)
