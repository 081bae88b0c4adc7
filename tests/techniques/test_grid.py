from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques import Context, UnsupportedType
from minimize.techniques.grid import RADIUS, EqualAreaCells, Grid

Run = Callable[..., list[Any]]
DEGREE = math.pi / 180 * RADIUS


def at(run: Run, latitude: float | None, longitude: float | None, metres: float = 300) -> Any:
    return run(Grid(metres=metres), [{"lat": latitude, "lon": longitude}], PAIR)[0]


PAIR = pa.struct([("lat", pa.float64()), ("lon", pa.float64())])


def test_the_centre_has_the_names_of_the_inputs(run: Run) -> None:
    centre = at(run, 48.8566, 2.3522)
    assert list(centre) == ["lat", "lon"]
    assert abs(centre["lat"] - 48.8566) * DEGREE <= 160
    assert abs(centre["lon"] - 2.3522) * DEGREE * math.cos(math.radians(48.8566)) <= 160


def test_whole_numbers_that_are_no_degrees_cannot_be_treated(run: Run, untreated: Run) -> None:
    whole = pa.struct([("lat", pa.int64()), ("lon", pa.int64())])
    pairs = [{"lat": 2**60 + 1, "lon": 0}, {"lat": 0, "lon": -(2**63)}, {"lat": 1, "lon": 2}]
    assert run(Grid(), pairs, whole)[:2] == [None, None]
    assert untreated(Grid(), pairs, whole) == [True, True, False]


def test_a_null_in_the_pair_gives_null(run: Run, untreated: Run) -> None:
    pairs = [None, {"lat": None, "lon": 1.0}, {"lat": 1.0, "lon": None}]
    assert run(Grid(), pairs, PAIR) == [None, None, None]
    assert untreated(Grid(), pairs, PAIR) == [False, False, False]


def test_out_of_range_cannot_be_treated(run: Run, untreated: Run) -> None:
    pairs = [
        {"lat": 90.1, "lon": 0.0},
        {"lat": 0.0, "lon": -180.1},
        {"lat": math.nan, "lon": 0.0},
        {"lat": 0.0, "lon": math.inf},
    ]
    assert run(Grid(), pairs, PAIR) == [None] * 4
    assert untreated(Grid(), pairs, PAIR) == [True] * 4


def test_no_raw_position_stays_behind_a_null(context: Context) -> None:
    released = Grid().apply(pa.array([{"lat": 95.5, "lon": 2.25}], PAIR), context).values
    raw = np.array([95.5, 2.25]).tobytes()
    assert all(
        raw[place : place + 8] not in bytes(buffer) for buffer in released.buffers() if buffer for place in (0, 8)
    )


def test_poles_and_the_date_line_have_cells(run: Run) -> None:
    assert at(run, 90, 17)["lat"] <= 90
    assert at(run, -90, 17)["lat"] >= -90
    assert at(run, 0, 180)["lon"] <= 180
    assert at(run, 0, -180)["lon"] >= -180


@pytest.mark.parametrize("metres", [100, 300, 1_000, 50_000, 1_000_000])
def test_cells_are_as_large_as_asked_and_all_of_one_area(metres: float) -> None:
    cells = EqualAreaCells.from_size(metres)
    sines = np.sin(np.radians(cells.edges))
    areas = 2 * math.pi * RADIUS**2 * np.diff(sines) / cells.counts
    assert cells.smallest() >= metres
    assert metres**2 <= cells.area <= 1.2 * metres**2
    assert np.allclose(areas[1:-1], cells.area, rtol=1e-3)


@pytest.mark.parametrize("latitude", [0.0, 30.0, 48.8566, 60.0, 75.0, 85.0])
def test_neighbouring_centres_are_no_closer_than_asked(run: Run, latitude: float) -> None:
    step = 30 / (DEGREE * math.cos(math.radians(latitude)))
    along = [{"lat": latitude, "lon": 10 + place * step} for place in range(60)]
    up = [{"lat": latitude + place * 30 / DEGREE, "lon": 10.0} for place in range(60)]
    east = sorted({centre["lon"] for centre in run(Grid(), along, PAIR)})
    north = sorted({centre["lat"] for centre in run(Grid(), up, PAIR)})
    assert min(np.diff(east)) * DEGREE * math.cos(math.radians(latitude)) >= 299
    assert min(np.diff(north)) * DEGREE >= 299


def test_only_a_pair_of_numbers_is_taken() -> None:
    texts = pa.struct([("lat", pa.string()), ("lon", pa.string())])
    for type_ in (texts, pa.struct([("lat", pa.float64())]), pa.float64()):
        with pytest.raises(UnsupportedType):
            Grid().output_type(type_)


@pytest.mark.parametrize("metres", [0, 1, -300, 10**7])
def test_bad_sizes_are_refused(metres: float) -> None:
    with pytest.raises(ValidationError):
        Grid(metres=metres)


@given(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from([300.0, 5_000.0, 400_000.0]))
def test_the_centre_of_a_centre_is_itself(run: Run, latitude: float, longitude: float, metres: float) -> None:
    once = at(run, latitude, longitude, metres)
    assert at(run, once["lat"], once["lon"], metres) == once
    assert abs(once["lat"] - latitude) * DEGREE <= 0.75 * metres
