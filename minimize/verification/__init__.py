"""Re-checks an output against its receipts and the policies they carry, sharing no code with what made it."""

from __future__ import annotations

from minimize.verification.check import check, found_of_aggregate, verify
from minimize.verification.codes import CODES

__all__ = ["CODES", "check", "found_of_aggregate", "verify"]
