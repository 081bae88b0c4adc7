"""minimize.governance.retention"""

from __future__ import annotations
