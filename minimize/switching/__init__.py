"""Collection settings as people change them and ask for them: set, shown, explained, brought in and taken out."""

from __future__ import annotations

from minimize.switching.changing import Allowed, Wish, set_setting, shown
from minimize.switching.deciding import Moment, Why, why
from minimize.switching.exchanging import export_settings, import_settings
from minimize.switching.house import House
from minimize.switching.locate import LocateAction, end_locating, located, position_conditions, start_locating

__all__ = [
    "Allowed",
    "House",
    "LocateAction",
    "Moment",
    "Why",
    "Wish",
    "end_locating",
    "export_settings",
    "import_settings",
    "located",
    "position_conditions",
    "set_setting",
    "shown",
    "start_locating",
    "why",
]
