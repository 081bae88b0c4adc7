"""`google_android_management_sync`: a tenant's enterprise at Google, its applications, and its service account."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples import values
from minimize.samples.apps import APPS, IDS
from minimize.samples.base import Rows
from minimize.samples.datasets.google_android_management import ENTERPRISES
from minimize.samples.received import Received
from minimize.samples.values import picked
from minimize.samples.world import Administrators


class GoogleAndroidManagementSync(Received[Administrators]):
    """A message for each administrator and day."""

    population = Administrators
    subject = "enterpriseId"
    facts = ()
    wrong = (("appName", 3),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The enterprise, the administrator who linked it, and its service account."""
        members = self.members
        keys = values.secrets(members.draw("service_account_keys"), len(ENTERPRISES), 40)
        accounts = [f"svc-{4711 + place}" for place in range(len(ENTERPRISES))]
        return {
            **super().fixed_columns(),
            "enterpriseId": picked(ENTERPRISES, members.tenant),
            "adminName": members.display_name,
            "adminEmail": members.user_principal_name,
            "serviceAccountName": picked(accounts, members.tenant),
            "serviceAccountKeys": picked(keys.to_pylist(), members.tenant),
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """An application that can be assigned."""
        app = rows.codes(len(APPS))
        return {"appName": picked(APPS, app), "appId": picked(IDS, app)}
