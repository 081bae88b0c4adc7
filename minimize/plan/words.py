"""What conditions, techniques and durations are in words; they stand in `policy.words`."""

from __future__ import annotations

from minimize.policy.words import chain_text, condition_text, duration, step_text

__all__ = ["chain_text", "condition_text", "duration", "step_text"]
