from __future__ import annotations

import pytest

from minimize.stores.bucket import BUSY, DENIED, LEASED, MISSING, UNREACHABLE, StoreRefusal, refusal_reason


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
def test_a_reason_is_read_off_the_text_of_a_store_and_of_nobody_else(text: str, reason: StoreRefusal | None) -> None:
    assert refusal_reason(OSError(text)) is reason


def test_no_reason_repeats_what_the_store_said() -> None:
    found = refusal_reason(OSError("AWS Error ACCESS_DENIED: key 'tenant=contoso/x' in bucket 'house'"))
    assert found is not None
    assert "contoso" not in found.message + found.hint
