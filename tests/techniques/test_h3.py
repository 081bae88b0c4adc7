from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import h3
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import ConfigurationError
from minimize.techniques import UnsupportedType
from minimize.techniques.h3 import H3

Run = Callable[..., list[Any]]
PAIR = pa.struct([("lat", pa.float64()), ("lon", pa.float64())])


def test_the_published_example(run: Run) -> None:
    """From the documentation of h3-py: the cell of 37.77, -122.42 at resolution 9."""
    assert run(H3(resolution=9), [{"lat": 37.7752702151959, "lon": -122.418307270836}], PAIR) == ["8928308280fffff"]


def test_nulls_and_positions_out_of_range(run: Run, untreated: Run) -> None:
    pairs = [None, {"lat": None, "lon": 1.0}, {"lat": 91.0, "lon": 1.0}]
    assert run(H3(resolution=7), pairs, PAIR) == [None, None, None]
    assert untreated(H3(resolution=7), pairs, PAIR) == [False, False, True]


def test_without_the_extra_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h3", None)
    with pytest.raises(ConfigurationError, match="requires the package h3"):
        H3(resolution=7).output_type(PAIR)


def test_text_is_refused() -> None:
    with pytest.raises(UnsupportedType):
        H3(resolution=7).output_type(pa.string())


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), max_size=5), st.integers(0, 15))
def test_each_position_is_in_its_cell(run: Run, places: list[tuple[float, float]], resolution: int) -> None:
    pairs = [{"lat": latitude, "lon": longitude} for latitude, longitude in places]
    cells = run(H3(resolution=resolution), pairs, PAIR)
    assert cells == [h3.latlng_to_cell(*place, resolution) for place in places]
