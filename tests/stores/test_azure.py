"""Azure, as pyarrow opens it: keys from the environment, and no token in the clear."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyarrow.fs import AzureFileSystem

from minimize.checkpoints import at_checkpoint
from minimize.errors import OutputError, SourceError
from minimize.stores import object_store as bucket_module
from minimize.stores import parse_location, parse_output_location
from minimize.stores.object_store import AZURE_COPY_LIMIT, ObjectPath, with_azure_credentials
from tests.buckets import Bucket, empty_bucket
from tests.emulators import KEY, Azure, azure_access

OPEN = "abfs://devstoreaccount1@127.0.0.1:1/house/x?enable_tls=false"


def at(uri: str) -> ObjectPath:
    found = parse_location(uri)
    assert isinstance(found, ObjectPath)
    return found


def said(store: AzureFileSystem) -> dict[str, str]:
    _, (told,) = store.__reduce__()
    return {name: value for name, value in told.items() if value}


@pytest.mark.parametrize(
    ("name", "word"), [("AZURE_STORAGE_KEY", "account_key"), ("AZURE_STORAGE_SAS_TOKEN", "sas_token")]
)
def test_a_key_of_the_environment_opens_the_account(name: str, word: str) -> None:
    store = AzureFileSystem("house", blob_storage_authority="127.0.0.1:1", dfs_storage_authority="127.0.0.1:1")
    opened = with_azure_credentials(store, {name: KEY, "AZURE_CLIENT_ID": "somebody"})
    assert opened is not None
    assert said(opened) == said(store) | {word: KEY}


def test_without_a_key_it_is_left_to_the_identities_that_azure_knows() -> None:
    store = AzureFileSystem("house")
    assert with_azure_credentials(store, {}) is store


@pytest.mark.parametrize("opened", [parse_location, parse_output_location])
def test_no_token_is_sent_unencrypted(opened: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    place = parse_location(OPEN) if opened is parse_location else parse_output_location(OPEN)
    with pytest.raises(SourceError if opened is parse_location else OutputError, match="without TLS") as caught:
        place.exists()
    assert "AZURE_STORAGE_KEY" in caught.value.hint


@pytest.mark.slow
def test_nothing_shows_the_key() -> None:
    with azure_access():
        place = at(OPEN)
        with pytest.raises(SourceError, match="cannot be reached") as caught:
            place.exists()
    assert KEY not in f"{place!r} {place} {place.bucket.__getstate__()} {caught.value!r}"
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


@pytest.mark.nightly
def test_a_wrong_key_is_reported_with_the_source_of_credentials(azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with azure_access():
        monkeypatch.setenv("AZURE_STORAGE_KEY", KEY.replace("E", "F"))
        with pytest.raises(SourceError, match="denied access") as caught:
            at(f"abfs://devstoreaccount1@{azure}/house/x?enable_tls=false").exists()
    assert "AZURE_" in caught.value.hint


@pytest.mark.nightly
def test_a_missing_container_is_reported(azure: str) -> None:
    with azure_access():
        place = at(f"abfs://devstoreaccount1@{azure}/nowhere-at-all/x?enable_tls=false")
        assert not place.has_bucket()
        with pytest.raises(SourceError, match="does not exist"):
            place.write_bytes(b"x")


def test_an_object_above_the_copy_limit_is_copied_by_reading_and_writing(bucket: Bucket) -> None:
    bucket.put("a.gz", b"0123456789")
    limits = {"abfs": AZURE_COPY_LIMIT, "gs": None, "s3": 5 << 30}
    assert bucket.at("a.gz").bucket.copy_limit == limits[bucket.at().bucket.scheme]
    streamed: list[str] = []
    with at_checkpoint("object.streamed", streamed.append):
        bucket.at("a.gz").copy_to(bucket.at("a/b.gz"), 10)
        assert streamed == []
        bucket.at("a.gz").copy_to(bucket.at("b/c.gz"), 6 << 30)
    assert len(streamed) == (bucket.at().bucket.copy_limit is not None)
    assert bucket.get("b/c.gz") == b"0123456789"


@pytest.mark.nightly
def test_an_object_that_another_holds_is_removed_and_written_once_it_is_let_go(azure: str) -> None:
    with azure_access(), ThreadPoolExecutor(2) as pool:
        bucket = empty_bucket(azure, Azure)
        assert isinstance(bucket, Azure)
        for key in ("gone", "anew"):
            bucket.put(key, b"x")
            bucket.lease(key, "acquire")
        going = [pool.submit(bucket.at("gone").unlink), pool.submit(bucket.at("anew").write_bytes, b"y")]
        time.sleep(1.5)
        assert not any(work.done() for work in going)
        for key in ("gone", "anew"):
            bucket.lease(key, "break")
        assert [work.result() for work in going] == [None, None]
        assert bucket.keys() == ["anew"]
        assert bucket.get("anew") == b"y"


HELD = (
    "Failed to acquire a lease on file 'house/contoso': Azure Error: [LeaseAlreadyPresent] 409 There is already a lease"
)


def held(times: int, done: list[int]) -> Any:
    """A work that finds what it is about held by another for so many times."""

    def work(_: object) -> str:
        done.append(1)
        if len(done) <= times:
            raise OSError(HELD)
        return "done"

    return work


def test_a_lease_of_another_client_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "_RETRY_PAUSE", 0.001)
    done: list[int] = []
    with azure_access():
        assert at(OPEN).bucket.call(held(3, done)) == "done"
    assert len(done) == 4


def test_an_unending_lease_of_another_client_is_reported_and_an_upload_is_not_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bucket_module, "_RETRY_PAUSE", 0.001)
    monkeypatch.setattr(bucket_module, "_RETRY_SECONDS", 0.05)
    done: list[int] = []
    with azure_access(), pytest.raises(SourceError, match="another client holds a lease") as caught:
        at(OPEN).bucket.call(held(10**9, done))
    assert len(done) > 1
    assert "contoso" not in str(caught.value)
    done.clear()
    with azure_access(), pytest.raises(SourceError, match="another client holds a lease"):
        at(OPEN).bucket.call(held(10**9, done), retry=False)
    assert len(done) == 1
