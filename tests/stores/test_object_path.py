from __future__ import annotations

import os
import pickle
import traceback

import pytest

from minimize.errors import OutputError, SourceError
from minimize.stores import (
    ObjectPath,
    absolute_location,
    is_within,
    location_text,
    parse_location,
    parse_output_location,
    relative_path,
)
from tests.buckets import ACCESS, Bucket
from tests.emulators import KEY


def test_objects_are_listed_as_files_by_key(bucket: Bucket) -> None:
    for key in ("in/b.csv", "in/a/x.csv", "in/a b%/c=d/y.csv", "other/z.csv"):
        bucket.put(key, b"x")
    root = bucket.at("in")
    assert [str(relative_path(path, root)) for path in root.objects_below()] == ["a/x.csv", "a b%/c=d/y.csv", "b.csv"]
    assert [path.name for path in root.iterdir()] == ["a", "a b%", "b.csv"]
    assert [path.name for path in root.rglob("x*")] == ["x.csv"]


def test_an_object_is_a_file_and_a_prefix_is_a_folder(bucket: Bucket) -> None:
    bucket.put("in/a.csv", b"abc")
    assert bucket.at("in/a.csv").is_file()
    assert not bucket.at("in/a.csv").is_dir()
    assert bucket.at("in").is_dir()
    assert bucket.at().is_dir()
    assert not bucket.at("out").exists()
    assert bucket.at("in/a.csv").size() == 3


def test_an_object_is_read_from_anywhere(bucket: Bucket) -> None:
    bucket.put("a", b"0123456789")
    with bucket.at("a").open() as file:
        assert file.seek(7) == 7
        assert file.read(2) == b"78"
    assert bucket.at("a").read_bytes() == b"0123456789"


def test_a_missing_object_is_a_file_not_found(bucket: Bucket) -> None:
    with pytest.raises(FileNotFoundError):
        bucket.at("nothing").open()
    assert bucket.at("nothing").objects_below() == []
    assert bucket.at().has_bucket()
    assert not type(bucket)(bucket.host, "no-such-bucket").at("x").has_bucket()


def test_an_object_that_was_written_again_has_another_mark_even_in_the_same_second(bucket: Bucket) -> None:
    bucket.put("a", b"one")
    before = bucket.at("a").fingerprint()
    bucket.put("a", b"two")
    assert bucket.at("a").fingerprint() != before


def test_a_place_is_written_with_its_options_and_shown_without(bucket: Bucket) -> None:
    place = bucket.at("in")
    assert f"{place}{bucket.options}" == bucket.uri("in")
    assert parse_location(location_text(place)) == place
    assert absolute_location(place) == place


def test_a_place_is_pickled_for_another_process(bucket: Bucket) -> None:
    bucket.put("a", b"x")
    place = bucket.at("a")
    assert place.is_file()
    packed = pickle.dumps(place)
    assert pickle.loads(packed).read_bytes() == b"x"
    assert not any(secret.encode() in packed for secret in (KEY, *ACCESS.values()) if secret != "true")


def test_places_lie_within_each_other_by_bucket_and_key_however_it_is_reached(tmp_path: os.PathLike[str]) -> None:
    inside, root = parse_location("s3://house/in/a?region=eu-west-1"), parse_location("s3://house/in")
    assert is_within(inside, root)
    assert not is_within(root, inside)
    assert not is_within(inside, parse_location("s3://other/in"))
    assert not is_within(inside, parse_location(tmp_path))
    assert not is_within(parse_location(tmp_path), root)


@pytest.mark.slow
@pytest.mark.parametrize("opened", [parse_location, parse_output_location])
def test_an_unreachable_store_is_an_error_that_reveals_no_keys_or_credentials(
    opened: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    uri = "s3://house/tenant=contoso/x?endpoint_override=127.0.0.1:1&scheme=http&region=us-east-1"
    place = parse_location(uri) if opened is parse_location else parse_output_location(uri)
    with pytest.raises(SourceError if opened is parse_location else OutputError, match="cannot be reached") as caught:
        place.exists()
    told = "".join(traceback.format_exception(caught.value))
    assert "s3://house" in caught.value.message
    assert caught.value.hint
    assert not any(word in told for word in ("contoso", ACCESS["AWS_SECRET_ACCESS_KEY"], ACCESS["AWS_ACCESS_KEY_ID"]))
    assert caught.value.__context__ is None


def test_remote_places_are_ordered_by_key() -> None:
    places = [parse_location("s3://house/b"), parse_location("s3://house/a/c"), parse_location("s3://house/a-b")]
    assert all(isinstance(place, ObjectPath) for place in places)
    assert [place.name for place in sorted(places, key=lambda place: place.parts)] == ["c", "a-b", "b"]
