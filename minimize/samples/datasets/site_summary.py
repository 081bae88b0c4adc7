"""`site_summary`: what the on-premises product reports of each site, once a week."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa

from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import CPUS
from minimize.samples.lines import concatenated
from minimize.samples.values import Ints, picked, taken, weighted
from minimize.samples.world import DOMAINS, Administrators, Population, colleagues

VERSIONS = ("2409", "2403", "2309", "2303", "2207", "2107")
LEVELS = ("enhanced", "basic", "full")
SYSTEMS = ("10.0.22631", "10.0.19045", "10.0.26100", "10.0.17763", "6.3.9600")
TPM_VERSIONS = ("2.0", "1.2", None)
ERRORS = ("0x87D00324", "0x80072EE2", "0x87D00607", "0x80070643", "0x87D00231")
TOWNS = ("Exampleville", "Sampleton", "Mustertal", "Exempleux")
CONTACTS = 120
"""So many administrators are contacts of sites."""


class Sites(Population):
    """Sites at which tenants run the product themselves."""

    seeded_as = "sites"

    @cached_property
    def contacts(self) -> Administrators:
        """The administrators who may be contacts."""
        return Administrators(self.world, CONTACTS)

    @cached_property
    def contact(self) -> Ints:
        """The number of the administrator who is the contact."""
        return colleagues(self.tenant, self.contacts, self.draw("contact"))

    @cached_property
    def site_id(self) -> pa.StringArray:
        """The site."""
        return self.guids("site_id")

    @cached_property
    def _number(self) -> pa.StringArray:
        return pa.array(np.arange(self.count) + 1).cast(pa.string())

    @cached_property
    def site_name(self) -> pa.StringArray:
        """Its name, which can hold a person's."""
        family = self.pick("site_name", [f"{name} building " for name in self.world.people.family])
        return concatenated(family.cast(pa.string()), self._number)

    @cached_property
    def server_name(self) -> pa.StringArray:
        """The name of its server."""
        return concatenated("cm", self._number, ".", picked(DOMAINS, self.tenant).cast(pa.string()))

    @cached_property
    def contact_name(self) -> pa.StringArray:
        """The contact's name."""
        return taken(self.contacts.display_name, self.contact)

    @cached_property
    def contact_email(self) -> pa.StringArray:
        """The contact's address."""
        return taken(self.contacts.user_principal_name, self.contact)

    @cached_property
    def postal_address(self) -> pa.StringArray:
        """An address in no town."""
        street = self.pick("street", [f" {name} Street, " for name in self.world.people.family])
        town = self.pick("town", [f"{10_000 + 77 * place} {name}" for place, name in enumerate(TOWNS)])
        return concatenated(self._number, street.cast(pa.string()), town.cast(pa.string()))

    @cached_property
    def product_version(self) -> pa.Array:
        """The version of the product."""
        return self.pick("product_version", VERSIONS, 1.0)

    @cached_property
    def diagnostic_level(self) -> pa.Array:
        """What the site's administrators chose to send."""
        return self.pick("diagnostic_level", LEVELS, 0.7)

    @cached_property
    def cpu(self) -> pa.Array:
        """The processor of the server."""
        return self.pick("cpu", CPUS, 1.3)

    @cached_property
    def clients(self) -> Ints:
        """How many computers it manages."""
        return self.draw("clients").lognormal(6.5, 1.2, self.count).astype(np.int64) + 5


class SiteSummary(Dataset[Sites]):
    """A summary for each site and week."""

    population = Sites
    subject = "site_id"
    every = 7
    facts = (
        *("site_id", "product_version", "diagnostic_level", "cpu", "site_name", "server_name", "contact_name"),
        *("contact_email", "postal_address"),
    )
    wrong = (("client_count", "many"), ("database_size_gb", "large"))

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Counts of one system, one version of a trusted platform module and one error each."""
        random, clients = rows.random, self.members.clients[rows.members]
        share = random.beta(4, 2, (len(rows), 2))
        return {
            "client_count": pa.array(clients),
            "os_version": rows.pick(SYSTEMS, 0.8),
            "os_device_count": pa.array((clients * share[:, 0]).astype(np.int64)),
            "tpm_version": rows.pick(TPM_VERSIONS, 1.2),
            "tpm_device_count": pa.array((clients * share[:, 1]).astype(np.int64)),
            "error_code": rows.pick(ERRORS, 0.8, rows.chance(0.7)),
            "error_count": pa.array(random.poisson(4, len(rows))),
            "database_size_gb": pa.array(np.round(clients / 40 + random.gamma(2, 3, len(rows)), 1)),
            "server_age_months": pa.array(3 + weighted(random, len(rows), tuple(range(90, 10, -1)))),
            "server_ip": picked(self.addresses, rows.members * 17 % len(self.addresses)),
        }
