"""`shift_dates`: every time of one subject moved by the same secret number of days."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from minimize.arrow.dictionaries import as_int64, distinct_values
from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, TimeForm, failure_mask
from minimize.techniques.keyed_hash import HmacState, canonical_forms, length_prefixed, required_keys
from minimize.techniques.parameters import HIGHER_TIGHTENS, UNORDERED, KeyName, Names
from minimize.techniques.periods import Ticks, leaves_calendar, ticks, ticks_per_second


class ShiftDates(Technique):
    """Shifts times by a secret number of days, equal for all times of one `per` value, never 0, at most `max_days`.

    Takes timestamp and date, gives the same type. All fields with the same key, `per` and `max_days` move together, so that
    order and distances within one `per` value stay. Null stays null. Values with a null `per`, and results outside the range of
    the type or the calendar (9999-12-31 means "no end" in many tables), cannot be treated. The residual is guessable: one known
    date of a subject reveals all of them, and distances, weekday rhythms and seasons stay visible.
    Source: Hripcsak et al., JAMIA 23 (2016), shifting dates; HMAC of RFC 2104.

    >>> import pyarrow as pa
    >>> from datetime import date, datetime, UTC
    >>> class Keys:
    ...     def bytes_of(self, name, version=None):
    ...         return bytes(32)
    >>> context = Context("f", datetime.now(UTC), Keys(), {"device_id": pa.array(["d", "d", None])})
    >>> days = pa.array([date(2026, 3, 1), date(2026, 3, 5), date(2026, 3, 9)])
    >>> first, second, lost = ShiftDates(key="dates", per="device_id", max_days=30).apply(days, context).values.to_pylist()
    >>> first == date(2026, 3, 1), second - first, lost
    (False, datetime.timedelta(days=4), None)
    """

    name: ClassVar[str] = "shift_dates"
    takes: ClassVar[tuple[Family, ...]] = ("timestamp", "date")
    residual: ClassVar[Residual] = "guessable"
    source: ClassVar[str] = "Hripcsak et al. 2016"
    about: ClassVar[str] = "shifted by a secret number of days, equal within one `per` value"

    key: KeyName
    per: Annotated[str, Names.FIELD, UNORDERED] = Field(min_length=1)
    max_days: Annotated[int, HIGHER_TIGHTENS] = Field(ge=1, le=36_500)

    @property
    def generalizes(self) -> bool:
        """Every time moves."""
        return True

    @property
    def time_form(self) -> TimeForm:
        """A time that is moved by at most `max_days`."""
        return TimeForm(shift=timedelta(days=self.max_days))

    def phrase(self) -> str:
        """The longest shift, and what moves together."""
        return f"shifted by a secret number of days, up to {self.max_days}, the same for each `{self.per}`"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The moved times. Raises KeyringError if the key is missing."""
        subjects = distinct_values(context.columns[self.per])
        mac = self._mac(context)
        shifts = pa.array([self._shift(mac, form) for form in canonical_forms(subjects.values)], pa.int64())
        by_row = shifts.take(subjects.codes)
        return _shift_times(values, as_int64(by_row.fill_null(0)), as_int64(by_row.is_null().cast(pa.int64())) == 1)

    def _mac(self, context: Context) -> HmacState:
        beginning = length_prefixed(b"minimize shift_dates 1", self.per.encode(), str(self.max_days).encode())
        return HmacState.from_key(required_keys(context).bytes_of(self.key)).extended(beginning)

    def _shift(self, mac: HmacState, form: bytes) -> int:
        """From -max_days to -1 and from 1 to max_days, all equally likely."""
        place = int.from_bytes(mac.digest(length_prefixed(form)), "big") % (2 * self.max_days) - self.max_days
        return place if place < 0 else place + 1


def _shift_times(values: pa.Array, days: Ticks, unknown: npt.NDArray[np.bool_]) -> TechniqueResult:
    per_second = ticks_per_second(values.type)
    was, shifts = ticks(values), days * 86_400 * per_second
    low, high = _tick_limits(values.type)
    beyond = np.where(shifts > 0, was > high - shifts, was < low - shifts) | leaves_calendar(
        was, was + shifts, per_second
    )
    null = np.asarray(values.is_null().to_numpy(zero_copy_only=False))
    bad = (unknown | beyond) & ~null
    moved = np.where(bad | null, 0, was + shifts)
    if pa.types.is_date32(values.type):
        moved = (moved // 86_400).astype(np.int32)
    return TechniqueResult(pa.array(moved, mask=bad | null).cast(values.type), failure_mask(bad))


def _tick_limits(type_: pa.DataType) -> tuple[int, int]:
    """The range of the type in its ticks."""
    narrow = pa.types.is_date32(type_)
    limit, scale = np.iinfo(np.int32 if narrow else np.int64), 86_400 if narrow else 1
    return int(limit.min) * scale, int(limit.max) * scale
