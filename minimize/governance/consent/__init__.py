"""Consents recorded by acts, and shown with the acts that decide."""

from __future__ import annotations

from minimize.governance.consent.acting import Wish, act, ends_nothing, expire, overruled_by
from minimize.governance.consent.showing import Shown, Why, shown, why

__all__ = ["Shown", "Why", "Wish", "act", "ends_nothing", "expire", "overruled_by", "shown", "why"]
