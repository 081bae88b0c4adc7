"""minimize.governance.access"""

from __future__ import annotations
