from __future__ import annotations

import pickle

import pytest

from minimize.errors import OutputError, SourceError
from minimize.stores.object_store import (
    BUSY,
    DENIED,
    LEASED,
    MISSING,
    OPTIONS,
    UNREACHABLE,
    Bucket,
    StoreRefusal,
    is_uri,
    refusal_reason,
)

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("uri", "said", "key"),
    [
        ("s3://house/in/{date}/*.parquet", "s3://house", "in/{date}/*.parquet"),
        ("s3://house?region=eu-west-1", "s3://house", ""),
        ("gs://anonymous@house/a%20b/c", "gs://anonymous@house", "a%20b/c"),
        ("abfs://in@account.dfs.core.windows.net/x", "abfs://in@account.dfs.core.windows.net", "x"),
        ("abfss://account.blob.core.windows.net/in/x", "abfss://account.blob.core.windows.net", "in/x"),
    ],
)
def test_a_uri_names_a_bucket_and_a_key_that_is_taken_as_it_is_written(uri: str, said: str, key: str) -> None:
    bucket, found = Bucket.parse_uri(uri)
    assert (str(bucket), found) == (said, key)


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://AKIA:{SECRET}@house/in",
        f"s3://{SECRET}@house/in",
        f"gs://{SECRET}@house/in",
        f"abfs://in:{SECRET}@account.dfs.core.windows.net/x",
        f"s3://house/in?secret_key={SECRET}",
        f"s3://house/in?session_token={SECRET}",
        f"abfs://house/in?client_secret={SECRET}",
        f"abfs://house/in?sig={SECRET}",
        f"s3://house/in?endpoint_override=me:{SECRET}@host",
        f"s3://house/in?region={SECRET}%40x",
    ],
)
@pytest.mark.parametrize("fault", [SourceError, OutputError])
def test_a_secret_in_a_uri_is_refused_and_not_repeated(uri: str, fault: type[SourceError] | type[OutputError]) -> None:
    with pytest.raises(fault) as caught:
        Bucket.parse_uri(uri, fault)
    assert SECRET not in repr(caught.value) + str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("uri", ["ftp://house/in", "s3:///in", "file:///in", "hdfs://host/in"])
def test_a_uri_of_no_object_store_is_refused(uri: str) -> None:
    with pytest.raises(SourceError):
        Bucket.parse_uri(uri)


@pytest.mark.parametrize(("text", "is_one"), [("s3://b", True), ("data/x", False), ("/s3://b", False), ("C:/x", False)])
def test_a_uri_is_distinguished_from_a_path(text: str, is_one: bool) -> None:
    assert is_uri(text) is is_one


def test_no_permitted_uri_option_is_a_secret() -> None:
    words = {word for options in OPTIONS.values() for option in options for word in option.split("_")}
    assert not words & {"key", "secret", "token", "password", "sas", "sig", "credential"}


@pytest.mark.parametrize("uri", ["gs://house/x", "abfs://in@account.dfs.core.windows.net/x", "gcs://house/x"])
def test_google_and_azure_are_opened_by_their_own_file_systems(uri: str) -> None:
    bucket, key = Bucket.parse_uri(uri)
    assert type(bucket.files).__name__ in ("GcsFileSystem", "AzureFileSystem")
    assert bucket.path(key) in ("house/x", "in/x")


def test_an_account_of_azure_has_its_container_in_the_path() -> None:
    bucket, key = Bucket.parse_uri("abfss://account.blob.core.windows.net/in/x")
    assert bucket.path(key) == "in/x"


def test_a_bucket_is_pickled_without_its_open_connection() -> None:
    bucket, _ = Bucket.parse_uri("gs://house/x")
    assert bucket.files is not None
    packed = pickle.dumps(bucket)
    assert pickle.loads(packed) == bucket
    assert b"FileSystem" not in packed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("When reading: AWS Error ACCESS_DENIED during HeadObject operation: No response body.", DENIED),
        ("AWS Error SIGNATURE_DOES_NOT_MATCH during GetObject operation", DENIED),
        ("AWS Error UNKNOWN (HTTP status 403) during ListObjectsV2 operation", DENIED),
        ("AWS Error NO_SUCH_BUCKET during CreateMultipartUpload operation", MISSING),
        ("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect", UNREACHABLE),
        ("AWS Error SLOW_DOWN during PutObject operation", BUSY),
        ("google::cloud::Status(UNAUTHENTICATED: no default credentials)", DENIED),
        ("google::cloud::Status(UNAVAILABLE: try later)", BUSY),
        (
            "Failed to acquire a lease on file 'x': Azure Error: [LeaseAlreadyPresent] 409 There is already a lease",
            LEASED,
        ),
        (
            "Azure Error: [] Connection closed before getting full response or response is less than expected.",
            UNREACHABLE,
        ),
        ("Azure Error: [ContainerNotFound] 404 The specified container does not exist", MISSING),
        ("Azure Error: DefaultAzureCredential: Failed to get token", DENIED),
        ("zstd decompression failed at the value 403 credential", None),
        ("", None),
    ],
)
def test_a_refusal_reason_is_recognized_only_in_the_text_of_a_store(text: str, reason: StoreRefusal | None) -> None:
    assert refusal_reason(OSError(text)) is reason


def test_no_reason_repeats_the_text_of_the_store() -> None:
    found = refusal_reason(OSError("AWS Error ACCESS_DENIED: key 'tenant=contoso/x' in bucket 'house'"))
    assert found is not None
    assert "contoso" not in found.message + found.hint
