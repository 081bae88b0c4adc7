"""Schema drift: what arrives, beside what the policy declares and what the last runs saw. Names and counts, never a value."""

from __future__ import annotations

from minimize.drifting.drift import drift
from minimize.drifting.model import Report

__all__ = ["Report", "drift"]
