"""Effective settings, compared with a literal reading of their rules, row by row, in Python."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.columns import KnownNames
from minimize.settings import ROW_SCHEMA, SETTINGS_SCHEMA, ExplainableSettings, FeatureSwitch, load_settings
from minimize.settings.timeline import FieldIds, KnownEntities, KnownSubjects, SettingsQuery, pair_codes
from minimize.times import epoch_microseconds
from tests.hypothesis_profiles import examples

KNOWN = KnownEntities(
    KnownNames(pa.array(["t", "u"])), {None: KnownSubjects(KnownNames(pa.array(["s"])), np.array([1 << 32]))}
)

TENANTS = pa.array(["u", "x", None, "t"])

TIME = pa.timestamp("ms", "UTC")


def asked(
    tenants: pa.Array = TENANTS, subjects: pa.Array | None = None, times: pa.Array | None = None
) -> SettingsQuery:
    return SettingsQuery(KNOWN, tenants, subjects, times)


@pytest.mark.parametrize("encode", [False, True])
def test_a_result_of_a_tenant_applies_to_its_records_only(encode: bool) -> None:
    tenants = TENANTS.dictionary_encode() if encode else TENANTS
    assert asked(tenants).spread(np.array([False, True, False])).to_pylist() == [True, False, False, False]
    assert asked(tenants).spread(np.array([True, True, False])).to_pylist() == [True, False, False, True]


def test_of_tenants_of_whom_it_is_always_true_no_record_is_looked_at_twice() -> None:
    everybody = pa.array(["t", "u", "t"]).dictionary_encode()
    assert asked(everybody).spread(np.array([True, True, False])).to_pylist() == [True, True, True]


def test_nothing_is_true_where_the_subject_or_the_time_is_missing() -> None:
    subjects, times = pa.array(["a", None, "b", "c"]), pa.array([1, 2, 3, None], TIME)
    everybody = pa.array(["t"] * 4)
    truths = np.array([True, True, False])
    assert asked(everybody, subjects, times).spread(truths).to_pylist() == [True, False, True, False]


def test_a_pair_with_rows_of_its_own_has_a_place() -> None:
    found = asked(pa.array(["u", "t", "u", "x"]), pa.array(["s", "s", "z", "s"])).own
    assert found is not None
    assert [(ids.rows.tolist(), ids.positions.tolist()) for ids in found] == [([0], [0])]


def test_the_bounds_of_times_are_in_microseconds_and_leave_nulls_out() -> None:
    assert asked(times=pa.array([5, None, 2, 3], TIME)).bounds == (2_000, 5_000)
    assert asked(times=pa.array([None] * 4, TIME)).bounds is None
    assert asked().bounds is None
    day = pa.array([datetime(1970, 1, 2, tzinfo=UTC).date()] * 4)
    assert asked(times=day.dictionary_encode()).bounds == (86_400_000_000, 86_400_000_000)


def test_a_pair_with_a_missing_part_has_no_code() -> None:
    assert pair_codes(np.array([0, -1, 3]), np.array([2, 2, -1])).tolist() == [2, -1, -1]


LEVELS = ("required", "basic", "enhanced", "full")

START = datetime(2026, 11, 1, tzinfo=UTC)


class Said(NamedTuple):
    tenant: str
    subject: str | None
    setting: str
    value: str
    holder: str
    valid_from: int
    recorded_at: int = 0


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def seen(*rows: Said, at: int = 30) -> ExplainableSettings:
    lists = [dict(zip(SETTINGS_SCHEMA.names, [*row[:5], day(row[5]), day(row[6])], strict=True)) for row in rows]
    return load_settings(pa.Table.from_pylist(lists, schema=SETTINGS_SCHEMA)).effective_at(day(at))


def named_seen(*rows: Said, at: int = 30) -> ExplainableSettings:
    """The rows, of which those of single subjects name them by the field `users`."""
    names = [*SETTINGS_SCHEMA.names, "field"]
    lists = [[*row[:5], day(row[5]), day(row[6]), None if row.subject is None else "users"] for row in rows]
    table = pa.Table.from_pylist([dict(zip(names, each, strict=True)) for each in lists], schema=ROW_SCHEMA)
    return load_settings(table).effective_at(day(at))


def is_on(
    view: ExplainableSettings,
    *days: int,
    tenant: str = "t",
    subject: str | None = None,
    holders: Sequence[str] = (),
    per_subject: bool = False,
) -> list[bool]:
    switch = FeatureSwitch("location", tuple(holders), per_subject)
    subjects = None if subject is None else pa.array([subject] * len(days))
    times = pa.array([day(number) for number in days], pa.timestamp("us", "UTC"))
    return list(view.feature_on(switch, pa.array([tenant] * len(days)), subjects, times).to_pylist())


def reaches(view: ExplainableSettings, level: str, number: int = 10, subject: str | None = None) -> bool:
    subjects = None if subject is None else pa.array([subject])
    times = pa.array([day(number)], pa.timestamp("us", "UTC"))
    return bool(view.level_at_least(level, LEVELS, pa.array(["t"]), subjects, times)[0].as_py())


def on(holder: str = "admin", start: int = 0, subject: str | None = None, value: str = "on", recorded: int = 0) -> Said:
    return Said("t", subject, "location", value, holder, start, recorded)


def off(holder: str = "admin", start: int = 0, subject: str | None = None, recorded: int = 0) -> Said:
    return on(holder, start, subject, "off", recorded)


def level(value: str, holder: str = "admin", start: int = 0, subject: str | None = None) -> Said:
    return Said("t", subject, "level", value, holder, start)


def test_a_missing_setting_is_off() -> None:
    assert is_on(seen(), 1) == [False]


def test_a_feature_is_on_from_the_moment_its_row_is_valid() -> None:
    assert is_on(seen(on(start=5)), 4, 5, 6) == [False, True, True]


def test_off_now_is_off_for_events_of_a_time_when_it_was_on() -> None:
    assert is_on(seen(on(), off(start=20)), 10) == [False]


def test_the_window_of_an_opt_out_is_never_collected() -> None:
    assert is_on(seen(on(), off(start=10), on(start=20)), 9, 10, 19, 20) == [True, False, False, True]


def test_a_row_recorded_after_the_run_is_not_seen() -> None:
    assert is_on(seen(on(recorded=40), at=30), 10) == [False]


def test_a_row_that_takes_effect_after_the_run_does_not_decide() -> None:
    assert is_on(seen(on(start=40), at=30), 45) == [False]


def test_off_by_any_holder_wins() -> None:
    assert is_on(seen(on("admin"), off("user")), 10) == [False]
    assert is_on(seen(on("admin"), off("developer")), 10, holders=("admin",)) == [False]


def test_on_by_a_holder_who_may_not_turn_it_on_is_ignored() -> None:
    assert is_on(seen(on("developer")), 10, holders=("admin", "user")) == [False]
    assert is_on(seen(on("developer"), on("admin")), 10, holders=("admin", "user")) == [True]


def test_without_holders_anyone_may_turn_a_feature_on() -> None:
    assert is_on(seen(on("developer")), 10) == [True]


def test_a_subjects_own_off_takes_only_that_subject_out() -> None:
    view = seen(on(), off("user", subject="s"))
    assert (is_on(view, 10, subject="s"), is_on(view, 10, subject="other")) == ([False], [True])


def test_a_subjects_own_on_adds_nothing_where_others_may_hold_the_switch() -> None:
    assert is_on(seen(on("user", subject="s")), 10, subject="s", holders=("admin", "user")) == [False]
    assert is_on(seen(on("user", subject="s")), 10, subject="s") == [False]


def test_where_the_user_is_the_only_holder_a_subjects_own_on_collects_that_subject() -> None:
    view = seen(on("user", subject="s"))
    assert is_on(view, 10, subject="s", holders=("user",)) == [True]
    assert is_on(view, 10, subject="other", holders=("user",)) == [False]


def test_a_tenant_wide_off_outweighs_a_subjects_own_on() -> None:
    assert is_on(seen(on("user", subject="s"), off("admin")), 10, subject="s", holders=("user",)) == [False]


def located(
    view: ExplainableSettings, *days: int, subject: str | None = "s", holders: Sequence[str] = ()
) -> list[bool]:
    return is_on(view, *days, subject=subject, holders=holders, per_subject=True)


def test_a_per_subject_feature_is_on_where_tenant_and_subject_both_are() -> None:
    view = seen(on(), *(on(start=each, subject="s") for each in (5, 6, 9)), off(start=7, subject="s"), at=9)
    assert located(view, 4, 5, 6, 7, 8, 9) == [False, True, True, False, False, True]
    assert located(view, 6, subject="other") == [False]


def test_a_subjects_own_on_of_a_per_subject_feature_counts_for_24_hours() -> None:
    view = seen(on(), on("user", start=5, subject="s"))
    second = timedelta(seconds=1)
    whens = [day(5), day(6) - second, day(6), day(9)]
    assert [located(view.as_of(epoch_microseconds(when)), 5) for when in whens] == [[True], [True], [False], [False]]


def test_the_end_of_an_own_on_does_not_replace_an_opt_out_of_the_same_holder() -> None:
    view = seen(on(), on(start=5, subject="s"), off(start=6, subject="s"), on("user", start=8, subject="s"), at=8)
    assert located(view, 8) == [False]


def test_an_own_on_that_was_corrected_to_off_has_no_end_of_its_own() -> None:
    corrected = off(start=5, subject="s")._replace(recorded_at=1)
    view = seen(on(), on(start=5, subject="s"), corrected, on("user", start=8, subject="s"), at=8)
    assert located(view, 8) == [False]


def test_an_own_on_where_the_user_is_the_only_holder_has_no_end() -> None:
    assert is_on(seen(on("user", subject="s")), 29, subject="s", holders=("user",)) == [True]


def test_a_per_subject_feature_needs_the_subject_to_be_on_at_the_time_of_the_run() -> None:
    view = seen(on(), on(start=5, subject="s"), on(start=6, subject="s"), off(start=7, subject="s"))
    assert located(view, 6) == [False]
    assert located(view.as_of(epoch_microseconds(day(6))), 6) == [True]


def test_neither_the_tenant_nor_the_subject_alone_turns_a_per_subject_feature_on() -> None:
    assert located(seen(on()), 10) == [False]
    assert located(seen(on(subject="s")), 10) == [False]
    assert located(seen(on("user", subject="s")), 10, holders=("user",)) == [False]


def test_a_per_subject_feature_is_off_where_no_subject_is_known() -> None:
    view = seen(on(), on(subject="s"))
    assert located(view, 10, subject=None) == [False]
    assert is_on(view, 10, subject=None) == [True]


@pytest.mark.parametrize("rows", [[off("user", subject="s")], [off("developer")], [on("developer", value="odd")]])
def test_any_opt_out_wins_over_a_per_subject_feature(rows: list[Said]) -> None:
    assert located(seen(on(), on(start=10, subject="s"), *rows, at=10), 10) == [False]


def test_only_a_holder_who_may_turn_it_on_turns_a_per_subject_feature_on_for_a_subject() -> None:
    view = seen(on("admin"), on("developer", start=10, subject="s"), at=10)
    assert located(view, 10, holders=("admin",)) == [False]
    assert located(view, 10) == [True]


def test_a_tenants_part_of_a_per_subject_feature_is_asked_without_subjects() -> None:
    switch = FeatureSwitch("location", per_subject=True)
    assert seen(on()).feature_on(switch.of_tenants, pa.array(["t", "u"]), None, None).to_pylist() == [True, False]


def test_an_opt_out_by_the_user_survives_an_administrators_on() -> None:
    view = seen(off("user", 5, subject="s"), on("admin", 6))
    assert is_on(view, 10, subject="s") == [False]


def test_among_rows_valid_from_the_same_moment_the_one_recorded_last_counts() -> None:
    assert is_on(seen(off(recorded=1), on(recorded=2)), 10) == [True]
    assert is_on(seen(off(recorded=2), on(recorded=1)), 10) == [False]


def test_rows_that_agree_in_both_times_resolve_towards_off() -> None:
    assert is_on(seen(on(), off()), 10) == is_on(seen(off(), on()), 10) == [False]
    assert not reaches(seen(level("full"), level("basic")), "enhanced")


@pytest.mark.parametrize("word", ["On", " on", "on\u200b", "ON"])
def test_names_holders_and_values_are_compared_in_their_canonical_form(word: str) -> None:
    row = Said("t", None, " Location\u00a0", word, "ADMIN", 0)
    assert is_on(seen(row), 10, holders=["Admin"]) == [True]
    assert is_on(seen(row, Said("t", None, "LOCATION\u200b", "Off ", "User", 0)), 10) == [False]


@pytest.mark.parametrize("name", ["lo\u00adcation", "\uff4cocation", "loc\u200bation"])
def test_an_opt_out_with_an_invisible_or_wide_letter_inside_counts(name: str) -> None:
    assert is_on(seen(on(), Said("t", "s", name, "o\u200bff", "user", 1)), 10, subject="s") == [False]
    assert is_on(seen(on(), Said("t", "s", "vocation", "off", "user", 1)), 10, subject="s") == [True]


def test_a_users_row_for_a_whole_tenant_turns_nothing_on_but_its_off_counts() -> None:
    assert is_on(seen(on("user")), 10, subject="s", holders=["user"]) == [False]
    assert is_on(seen(on("user")), 10) == [False]
    assert is_on(seen(on("user"), on("user", subject="s")), 10, subject="s", holders=["user"]) == [True]
    assert is_on(seen(off("user"), on("user", subject="s")), 10, subject="s", holders=["user"]) == [False]
    assert is_on(seen(on(), off("user")), 10) == [False]


def test_a_users_level_for_a_whole_tenant_only_limits_the_level() -> None:
    assert not reaches(seen(level("full", "user")), "basic")
    assert reaches(seen(level("full"), level("basic", "user")), "basic")
    assert not reaches(seen(level("full"), level("basic", "user")), "enhanced")


def test_the_setting_of_an_id_in_another_field_counts_for_its_records() -> None:
    view = named_seen(on(), off("user", subject="u"))
    asked = {"users": FieldIds(pa.array(["u", "v", "u", "v"]), np.array([0, 0, 1, 2]))}
    tenants, subjects = pa.array(["t"] * 3), pa.array(["u", "d", "d"])
    found = view.feature_on(FeatureSwitch("location"), tenants, subjects, None, asked)
    assert found.to_pylist() == [False, False, True]
    assert view.fields == {"users"}
    assert is_on(view, 10, subject="u") == [True]


def test_a_persons_own_on_counts_in_another_field_but_not_for_what_is_decided_per_subject() -> None:
    view = named_seen(on("user", subject="u"), on())
    asked = {"users": FieldIds(pa.array(["u", None]))}
    tenants, subjects = pa.array(["t"] * 2), pa.array(["d", "d"])
    of_user = FeatureSwitch("location", ("user",))
    assert view.feature_on(of_user, tenants, subjects, None, asked).to_pylist() == [True, False]
    per_subject = FeatureSwitch("location", (), per_subject=True)
    assert view.feature_on(per_subject, tenants, subjects, None, asked).to_pylist() == [False, False]
    named = FeatureSwitch("location", (), per_subject=True, subject="users")
    assert view.feature_on(named, tenants, subjects, pa.array([day(30)] * 2), {}).to_pylist() == [False, False]


def test_a_level_in_another_field_limits_its_records() -> None:
    rows = (Said("t", None, "level", "full", "admin", 0), Said("t", "u", "level", "basic", "user", 0))
    view, asked = named_seen(*rows), {"users": FieldIds(pa.array(["u", "v"]))}
    tenants, subjects = pa.array(["t"] * 2), pa.array(["d", "d"])
    found = view.level_at_least("enhanced", LEVELS, tenants, subjects, None, asked)
    assert found.to_pylist() == [False, True]


@pytest.mark.parametrize("value", ["true", "yes", "", "full", "o n"])
def test_anything_but_on_is_off(value: str) -> None:
    assert is_on(seen(on("admin"), on("user", value=value)), 10) == [False]


def test_another_tenants_settings_do_not_count() -> None:
    assert is_on(seen(on()), 10, tenant="u") == [False]


def test_a_subject_of_the_same_name_in_another_tenant_is_another_subject() -> None:
    view = seen(on(), Said("u", "s", "location", "off", "user", 0))
    assert is_on(view, 10, subject="s") == [True]


def test_null_anywhere_is_off() -> None:
    view, text, time = seen(on()), pa.string(), pa.timestamp("us", "UTC")
    for tenant, subject, when in ((None, "s", day(9)), ("t", None, day(9)), ("t", "s", None)):
        arrays = pa.array([tenant], text), pa.array([subject], text), pa.array([when], time)
        assert view.feature_on(FeatureSwitch("location"), *arrays).to_pylist() == [False]


def test_without_event_times_the_runs_time_decides_alone() -> None:
    view = seen(on(start=20))
    assert view.feature_on(FeatureSwitch("location"), pa.array(["t"]), None, None).to_pylist() == [True]


def test_the_first_level_is_always_on() -> None:
    assert reaches(seen(), "required")
    assert not reaches(seen(), "basic")


def test_of_levels_the_lowest_of_any_holder_counts() -> None:
    view = seen(level("full", "admin"), level("basic", "user"))
    assert (reaches(view, "basic"), reaches(view, "enhanced")) == (True, False)


def test_a_level_that_is_none_counts_as_the_first() -> None:
    assert not reaches(seen(level("full", "admin"), level("everything", "user")), "basic")


def test_a_subjects_own_level_counts_only_where_a_tenant_wide_one_is_set() -> None:
    assert not reaches(seen(level("full", subject="s")), "basic", subject="s")
    view = seen(level("full"), level("basic", "user", subject="s"))
    assert (reaches(view, "full", subject="s"), reaches(view, "full", subject="o")) == (False, True)


def test_a_level_must_hold_at_both_times_separately() -> None:
    view = seen(level("full"), level("basic", start=20))
    assert (reaches(view, "full", 10), reaches(view, "basic", 10)) == (False, True)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="tuple"):
        reaches(seen(), "no such level")


@pytest.mark.parametrize(
    "type_", [pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("ns", "UTC"), pa.date32()]
)
def test_times_of_every_unit_are_compared_equally(type_: pa.DataType) -> None:
    times = pa.array([day(4).replace(tzinfo=None), day(5).replace(tzinfo=None)]).cast(type_)
    tenants = pa.array(["t", "t"])
    assert seen(on(start=5)).feature_on(FeatureSwitch("location"), tenants, None, times).to_pylist() == [False, True]


def test_integers_and_dictionaries_name_tenants_and_subjects_too() -> None:
    view = seen(Said("7", None, "location", "on", "admin", 0), Said("7", "8", "location", "off", "user", 0))
    tenants, subjects = pa.array([7, 7]), pa.array([8, 9])
    expected = [False, True]
    assert view.feature_on(FeatureSwitch("location"), tenants, subjects, None).to_pylist() == expected
    encoded = tenants.cast(pa.string()).dictionary_encode(), subjects.cast(pa.string()).dictionary_encode()
    assert view.feature_on(FeatureSwitch("location"), *encoded, None).to_pylist() == expected


def test_a_subject_in_bytes_can_opt_out_and_an_unnameable_subject_is_off() -> None:
    view = seen(on(), off("user", subject="s"))
    tenants = pa.array(["t", "t"])
    assert view.feature_on(FeatureSwitch("location"), tenants, pa.array([b"s", b"r"]), None).to_pylist() == [
        False,
        True,
    ]
    assert view.feature_on(FeatureSwitch("location"), tenants, pa.array([1.0, 2.0]), None).to_pylist() == [False, False]


def test_why_gives_the_rows_that_decide() -> None:
    view = seen(on(start=1), on(start=3), off("user", 2, subject="s"), off("user", 9), on(start=4, recorded=40))
    rows = view.deciding_rows("t", "location", day(5), "s")
    assert [(row.holder, row.subject, row.value, row.valid_from) for row in rows] == [
        ("admin", None, "on", day(3)),
        ("user", "s", "off", day(2)),
    ]


# Against the literal reading.

said = st.builds(
    Said,
    st.sampled_from(["t", "u"]),
    st.sampled_from([None, "s", "r"]),
    st.sampled_from(["location", "level"]),
    st.sampled_from(["on", "off", "odd", *LEVELS]),
    st.sampled_from(["admin", "user", "developer"]),
    st.integers(0, 6),
    st.integers(0, 6),
)

allowed = st.sampled_from([(), ("user",), ("admin",), ("admin", "user")])

switches = st.builds(FeatureSwitch, st.just("location"), allowed, st.booleans())

queries = st.tuples(st.sampled_from(["t", "u", "v"]), st.sampled_from(["s", "r", "q"]), st.integers(0, 7))


@settings(max_examples=examples(60))
@given(st.lists(said, max_size=14), st.lists(queries, max_size=8), switches, st.integers(0, 7), st.randoms())
def test_columns_match_the_literal_rules_in_any_order_of_rows(
    rows: list[Said], records: list[tuple[str, str, int]], switch: FeatureSwitch, at: int, random: Any
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    view = seen(*shuffled, at=at)
    tenants = pa.array([tenant for tenant, _, _ in records], pa.string())
    subjects = pa.array([subject for _, subject, _ in records], pa.string())
    times = pa.array([day(number) for _, _, number in records], pa.timestamp("us", "UTC"))
    known = [row for row in rows if row.recorded_at <= at]
    expected = [
        all(literally_on(known, tenant, subject, switch, when) for when in (number, at))
        for tenant, subject, number in records
    ]
    assert view.feature_on(switch, tenants, subjects, times).to_pylist() == expected
    for wanted in range(len(LEVELS)):
        reached = [
            all(literal_level(known, tenant, subject, when) >= wanted for when in (number, at))
            for tenant, subject, number in records
        ]
        assert view.level_at_least(LEVELS[wanted], LEVELS, tenants, subjects, times).to_pylist() == reached
    assert view.digest == seen(*rows, at=at).digest


def latest(rows: Sequence[Said], tenant: str, subject: str | None, setting: str, when: int) -> dict[str, str]:
    """Per holder the value of the row that counts."""
    values: dict[str, Said] = {}
    for row in rows:
        if (row.tenant, row.subject, row.setting) != (tenant, subject, setting) or row.valid_from > when:
            continue
        best = values.get(row.holder)
        if best is None or _key(row) > _key(best):
            values[row.holder] = row
    return {holder: row.value for holder, row in values.items()}


def _key(row: Said) -> tuple[int, int, int]:
    height = int(row.value == "on") if row.setting == "location" else _number(row.value)
    return row.valid_from, row.recorded_at, -height


def _number(value: str) -> int:
    return LEVELS.index(value) if value in LEVELS else 0


def literally_on(rows: Sequence[Said], tenant: str, subject: str, switch: FeatureSwitch, when: int) -> bool:
    wide, own = (latest(rows, tenant, who, "location", when) for who in (None, subject))
    if any(value != "on" for value in (*wide.values(), *own.values())):
        return False
    by_others = {holder: value for holder, value in wide.items() if holder != "user"}
    for_tenant, for_subject = (
        any(value == "on" and (not switch.holders or holder in switch.holders) for holder, value in values.items())
        for values in (by_others, own)
    )
    if switch.per_subject:
        return for_tenant and for_subject
    return for_tenant or (switch.holders == ("user",) and for_subject)


def literal_level(rows: Sequence[Said], tenant: str, subject: str, when: int) -> int:
    wide, own = (latest(rows, tenant, who, "level", when) for who in (None, subject))
    if not set(wide) - {"user"}:
        return 0
    return min(_number(value) for value in (*wide.values(), *own.values()))


def test_the_records_that_were_asked_about_do_not_travel() -> None:
    view = seen(on())
    assert is_on(view, 10, tenant="t", subject="c4n4ry") == [True]
    assert b"c4n4ry" not in pickle.dumps(view)
    assert is_on(copy(view), 10, tenant="t") == [True]


def test_a_result_for_one_period_is_not_used_for_another() -> None:
    view = seen(on(start=5), off(start=10), on(start=20))
    for days, wanted in ((3, False), (7, True), (12, False), (25, True), (7, True), (3, False)):
        assert is_on(view, days) == [wanted]
    assert is_on(view, 3, 7, 12, 25) == [False, True, False, True]
    assert is_on(view, 7, 8) == [True, True]
