"""Incidents: exposed items, affected tenants, and breach notices.

exposure.py          exposed items, as the command names them; the columns of an exposed file
incident.py          an incident and its recorded steps
incident_text.py     an incident as text
exposed_files.py     files and reads that an incident exposed
inventory.py         content of exposed files and copies, by tenant
scope.py             the tenants that an incident affects
notice.py            breach notices: wording and formats
notification.py      contacts of tenants, drafts of notices, and the record that they were sent
"""

from __future__ import annotations

from minimize.governance.incidents.exposure import ExposedItem, Exposure
from minimize.governance.incidents.incident import (
    Incident,
    NewIncident,
    OpenedIncident,
    approve_exemption,
    close_incident,
    declare_incident,
    list_incidents,
    load_incident,
    load_incidents,
    open_incident,
    record_measure,
    request_exemption,
)
from minimize.governance.incidents.notification import (
    Contacts,
    DraftedNotices,
    draft_notices,
    find_contacts,
    lint_contacts,
    load_contacts,
    record_notices_sent,
)
from minimize.governance.incidents.scope import IncidentScope, exposure_scope, scope_incident, unmatched_items

__all__ = [
    "Contacts",
    "DraftedNotices",
    "ExposedItem",
    "Exposure",
    "Incident",
    "IncidentScope",
    "NewIncident",
    "OpenedIncident",
    "approve_exemption",
    "close_incident",
    "declare_incident",
    "draft_notices",
    "exposure_scope",
    "find_contacts",
    "lint_contacts",
    "list_incidents",
    "load_contacts",
    "load_incident",
    "load_incidents",
    "open_incident",
    "record_measure",
    "record_notices_sent",
    "request_exemption",
    "scope_incident",
    "unmatched_items",
]
