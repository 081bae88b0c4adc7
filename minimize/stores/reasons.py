"""Why a store refused, read off what its client says; of that text, which holds keys and request ids, nothing is passed on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """What happened, as the end of a sentence that names the bucket; and what to do about it."""

    message: str
    hint: str


UNKNOWN: Final = Reason("cannot be used", "is the URI right, and does pyarrow here know such stores?")
DENIED: Final = Reason(
    "does not let us in: there are no credentials, or they lack the permission",
    "they come from the environment (AWS_*, GOOGLE_*, AZURE_*) or the machine; may they list, read and write here?",
)
MISSING: Final = Reason("is not there", "is the bucket's name right, and the region or account?")
BUSY: Final = Reason("asks us to slow down, or is out of order", "try again later")
GONE: Final = Reason("cannot be reached", "is the network there, and the endpoint right?")
HELD: Final = Reason("holds an object for somebody else", "try again in a minute; who holds a lease on it?")
"""Nothing was done, and it may be let go at any moment: in Azure whoever deletes an object holds it for 15 seconds at most."""
_STORE: Final = re.compile(r"AWS Error|curlCode|google::cloud|Azure|resolve region|OAuth2|\bHTTP\b", re.I)
_KNOWN: Final[Sequence[tuple[re.Pattern[str], Reason]]] = (
    (re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket .*not found", re.I), MISSING),
    (re.compile(r"\[Lease\w*\]"), HELD),
    (
        re.compile(
            r"NETWORK_CONNECTION|curlCode|timed? ?out|could ?n.t (resolve|connect)|get a new connection|"
            r"connection closed|sending request",
            re.I,
        ),
        GONE,
    ),
    (
        re.compile(
            r"ACCESS_DENIED|INVALID_ACCESS_KEY|INVALID_CLIENT_TOKEN|SIGNATURE|EXPIRED_TOKEN|UNAUTHENTICATED|"
            r"PERMISSION_DENIED|Authenticat|Authorization|credential|OAuth2|MISSING_AUTHENTICATION|\b40[13]\b",
            re.I,
        ),
        DENIED,
    ),
    (re.compile(r"SLOW_DOWN|THROTTL|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|UNAVAILABLE|\b50[0234]\b", re.I), BUSY),
)


def why(error: BaseException) -> Reason | None:
    """Why a store refused; None where the error is not a store's, or says nothing that is known.

    >>> why(OSError("When reading 'x': AWS Error ACCESS_DENIED during HeadObject operation")) is DENIED
    True
    >>> why(OSError("zlib inflate failed"))
    """
    text = str(error)
    if not _STORE.search(text):
        return None
    return next((reason for pattern, reason in _KNOWN if pattern.search(text)), None)
