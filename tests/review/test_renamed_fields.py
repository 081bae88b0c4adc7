from __future__ import annotations

import pytest

from minimize.arrow.pointers import Pointer
from minimize.review.drift import LEAST_LIKENESS, DriftChange, likeness, pair_renames


def new(path: str, word: str | None = "string") -> DriftChange:
    return DriftChange("new", Pointer.parse(path), "warning", "", 10, is_=word)


@pytest.mark.parametrize(
    ("old", "path"),
    [("osVersion", "/os_version"), ("battery", "/battery_pct"), ("device_id", "/deviceId"), ("/os/name", "/os/names")],
)
def test_similar_names_in_one_place_count_as_renamed(old: str, path: str) -> None:
    assert likeness(Pointer.parse(old), "string", new(path)) >= LEAST_LIKENESS


@pytest.mark.parametrize(("old", "path"), [("model", "/theme"), ("/os/name", "/device/name"), ("extra", "/theme")])
def test_other_names_and_other_places_are_not(old: str, path: str) -> None:
    assert likeness(Pointer.parse(old), "string", new(path)) < LEAST_LIKENESS


def test_a_rename_may_change_the_type_within_its_kind() -> None:
    assert likeness(Pointer.parse("n"), "integer", new("/n", "double")) == 1
    assert likeness(Pointer.parse("n"), "integer", new("/n", "string")) == 0


def test_the_likest_are_paired_and_each_once() -> None:
    fields = [("version", Pointer.parse("version"), "string"), ("version_os", Pointer.parse("version_os"), "string")]
    first, second = new("/version_os_2"), new("/versions")
    pairs = pair_renames(fields, [first, second], lambda key: True)
    assert pairs == {"version_os": first, "version": second}


def test_an_existing_field_is_not_renamed() -> None:
    fields = [("version", Pointer.parse("version"), "string")]
    assert pair_renames(fields, [new("/versions")], lambda key: False) == {}
