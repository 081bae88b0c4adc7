"""Collection settings as people change them and ask for them: set, shown, explained, brought in and taken out."""

from __future__ import annotations

from minimize.switching.changing import Allowed, Wish, set_setting, shown
from minimize.switching.deciding import Moment, Why, why
from minimize.switching.exchanging import export_settings, import_settings
from minimize.switching.house import House

__all__ = [
    "Allowed",
    "House",
    "Moment",
    "Why",
    "Wish",
    "export_settings",
    "import_settings",
    "set_setting",
    "shown",
    "why",
]
