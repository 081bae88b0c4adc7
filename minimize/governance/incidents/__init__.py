"""Incidents: exposed items, affected tenants, and breach notices.

exposure.py          exposed items, as the command names them; files, columns and reads that an incident exposed
incident.py          an incident: its state from the recorded steps, and its text
workflow.py          the steps: open, declare, classify, measure, exempt, close
inventory.py         content of exposed files and copies, by tenant
scope.py             the tenants that an incident affects
file_versions.py     versions of exposed files, counted once
notice.py            breach notices: wording, formats, and the message that carries one
contacts.py          contacts of tenants, from their file or from the published records of administrators
notification.py      drafts of notices, and the list for the partner team
delivery.py          delivery of notices by the operator's command, and its record for each tenant
visible_incidents.py incidents as an account sees them: whole, or the parts that concern the tenants in its scope
"""

from __future__ import annotations

from minimize.governance.incidents.contacts import Contacts, find_contacts, lint_contacts, load_contacts
from minimize.governance.incidents.delivery import SentNotices, record_notices_sent, send_notices
from minimize.governance.incidents.exposure import ExposedItem, Exposure
from minimize.governance.incidents.incident import (
    Incident,
    OpenedIncident,
    load_incident,
    load_incidents,
)
from minimize.governance.incidents.notification import DraftedNotices, draft_notices
from minimize.governance.incidents.scope import IncidentScope, exposure_scope, scope_incident, unmatched_items
from minimize.governance.incidents.visible_incidents import list_incidents, show_incident
from minimize.governance.incidents.workflow import (
    NewIncident,
    approve_exemption,
    close_incident,
    declare_incident,
    open_incident,
    reclassify_incident,
    record_measure,
    request_exemption,
)

__all__ = [
    "Contacts",
    "DraftedNotices",
    "ExposedItem",
    "Exposure",
    "Incident",
    "IncidentScope",
    "NewIncident",
    "OpenedIncident",
    "SentNotices",
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
    "reclassify_incident",
    "record_measure",
    "record_notices_sent",
    "request_exemption",
    "scope_incident",
    "send_notices",
    "show_incident",
    "unmatched_items",
]
