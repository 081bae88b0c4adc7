"""Signatures and digests of receipts and of the audit log, recomputed from the guide with the standard library alone.

Nothing of the package is used after the files are written: Ed25519 is verified as in RFC 8032, section 5.1.7 and appendix A.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import command
from tests.project import DAY, Project, events

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
ROOT = pow(2, (PRIME - 1) // 4, PRIME)
Point = tuple[int, int, int, int]


def point_of(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    square = (y * y - 1) * pow(CURVE * y * y + 1, PRIME - 2, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    x = x if (x * x - square) % PRIME == 0 else x * ROOT % PRIME
    assert (x * x - square) % PRIME == 0
    x = x if x & 1 == sign else PRIME - x
    return x, y, 1, x * y % PRIME


def added(one: Point, other: Point) -> Point:
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % PRIME, (one[1] + one[0]) * (other[1] + other[0]) % PRIME
    c, d = 2 * one[3] * other[3] * CURVE % PRIME, 2 * one[2] * other[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def times(number: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while number:
        found = added(found, point) if number & 1 else found
        point, number = added(point, point), number >> 1
    return found


BASE_Y = 4 * pow(5, PRIME - 2, PRIME) % PRIME
BASE = point_of(BASE_Y.to_bytes(32, "little"))


def is_signed(public: bytes, content: bytes, signature: bytes) -> bool:
    scalar = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + content).digest(), "little") % ORDER
    left, right = times(scalar, BASE), added(point_of(signature[:32]), times(challenge, point_of(public)))
    return all((left[axis] * right[2] - right[axis] * left[2]) % PRIME == 0 for axis in (0, 1))


def canonical(body: Any) -> bytes:
    """RFC 8785 for texts, integers, and numbers that Python and JavaScript write alike."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(body: Any) -> str:
    return f"sha256:{hashlib.sha256(canonical(body)).hexdigest()}"


def value_of(signature: dict[str, str]) -> bytes:
    return base64.b64decode(signature["value"])


def test_the_verifier_accepts_the_vectors_of_rfc_8032_and_no_other_content() -> None:
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert is_signed(public, b"\x72", signature)
    assert not is_signed(public, b"\x73", signature)


@pytest.fixture
def public(project: Project, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The public key, after two runs of one output."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "ledger.db"))
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    for count in (20, 30):
        project.records(events(count))
        project.run(date=DAY)
    said = command("keys", "public", str(project.keys))
    lines = [line for line in said.out.splitlines() if line and not line.startswith("-----")]
    return base64.b64decode("".join(lines))[-32:]


def receipts_of(out: Path) -> list[dict[str, Any]]:
    return sorted(
        (json.loads(path.read_text()) for path in out.rglob("receipt.json")), key=lambda each: each["sequence"]
    )


def test_the_signature_and_chain_of_receipts(project: Project, public: bytes) -> None:
    first, second = receipts_of(project.out)
    for receipt in (first, second):
        body = {name: value for name, value in receipt.items() if name != "signature"}
        assert is_signed(public, canonical(body), value_of(receipt["signature"]))
        changed = {**body, "sequence": 9}
        assert not is_signed(public, canonical(changed), value_of(receipt["signature"]))
    assert second["previous"] == digest(first)


def test_the_signature_and_chain_of_the_audit_log(project: Project, public: bytes) -> None:
    command("audit", "export", str(project.folder / "audit.ndjson"))
    entries = [json.loads(line) for line in (project.folder / "audit.ndjson").read_text().splitlines()]
    assert len(entries) >= 2
    before = None
    for entry in entries:
        body = {name: entry[name] for name in ("acts", "event", "previous", "sequence")}
        assert entry["digest"] == digest(body)
        assert before in (None, entry["previous"])
        before = entry["digest"]
        head = {"audit": 1, "head": entry["digest"], "sequence": entry["sequence"]}
        assert is_signed(public, canonical(head), value_of(entry["signature"]))
        assert not is_signed(public, canonical({**head, "sequence": 0}), value_of(entry["signature"]))
