"""Policy and pipeline files.

Content: model, condition, fields. Forms: aggregate_forms, names, treatments. Reading: load. Checks: checks, approval.
Descriptions: describe. Roles: roles.
"""

from __future__ import annotations
