"""The workspace of a command, a call or a server: its surroundings, each found once; and who may use it.

Configuration, pipeline, keyring, ledger and output are searched for when they are needed. The ledger may be absent. The access
file in force decides which commands and tenants the actor may use. Audit events contain names, rules and counts, and no values.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Self

from minimize.access.decision import AccessDecision
from minimize.access.enforcement import (
    PermissionRequest,
    check_permission,
    recorded_permissions,
    required_rules,
    rules_in_force,
)
from minimize.access.model import AccessRules, account_of_actor
from minimize.access.permissions import ALL_TENANTS, TenantSet, common_tenants, is_ledger_wide
from minimize.config import Config
from minimize.config_search import load_config
from minimize.datasets.ledger_check import check_keyring, check_ledger
from minimize.datasets.pipelines import (
    LEDGER_SETTINGS,
    ConfiguredOutput,
    bind_region,
    configuration_folder,
    find_configured_outputs,
    find_pipeline,
    output_config,
    pipeline_from,
)
from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.datasets.writing_run import PolicyCache
from minimize.errors import ConfigurationError, KeyringError, LedgerError, MinimizeError, OutputError
from minimize.identifiers import canonical_id
from minimize.keys import Keyring, find_keyring
from minimize.ledger import Actor, Address, current_actor, find_ledger
from minimize.ledger.database import LEDGER_VARIABLE, PASSED_LEDGER
from minimize.ledger.ledger import Ledger, OpenLedgers
from minimize.ledger.runs import output_locations
from minimize.output.folder import has_runs, read_receipts
from minimize.plan.model import Category
from minimize.policy.load import normalize_path
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt
from minimize.records import PIPELINE_FILE
from minimize.settings import SettingsRows, load_settings
from minimize.settings.tokenized import load_ledger_settings
from minimize.stores import Location, LocationLike, PathText, parse_output_location
from minimize.times import Clock, utc_now

log = logging.getLogger("minimize")


@dataclass(frozen=True)
class Workspace:
    """Inputs of a command: ledger, output folder (may contain the ledger), pipeline whose policy declares settings, keyring.

    A command may also concern the outputs of `further_pipelines`. `region` is the region whose output is meant, and
    `found_config` a configuration that was read before. `shown` are the outputs whose content it shows or changes because the
    caller named them. Without a pipeline and an output, the first of them determines configuration and ledger. `searches` says
    whether the command also searches all outputs that the ledger has. `clock` measures what takes time during the command;
    everything else uses `now`. Everything is searched once, when it is first needed.
    """

    ledger: PathText | None = None
    output: LocationLike | None = None
    pipeline: Pipeline | PathText | None = None
    keys: Keyring | PathText | None = None
    further_pipelines: tuple[Pipeline | PathText, ...] = ()
    shown: tuple[LocationLike, ...] = ()
    searches: bool = False
    region: str | None = None
    found_config: Config | None = None
    clock: Clock = utc_now
    ledgers: OpenLedgers = field(default_factory=OpenLedgers, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.ledgers.permissions_of is None:
            self.ledgers.permissions_of = recorded_permissions(self, self.clock)

    def __enter__(self) -> Self:
        """Keeps the ledger open until the end of the `with` statement."""
        self.ledgers.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.ledgers.__exit__(*error)

    def __reduce__(self) -> NoReturn:
        """A workspace stays in its process: it can have a keyring and a password. Raises TypeError."""
        raise TypeError("a workspace cannot be sent to another process")

    @cached_property
    def now(self) -> datetime:
        """The time of the command, read from the clock once."""
        return self.clock()

    @cached_property
    def loaded_pipeline(self) -> Pipeline | None:
        """The pipeline, loaded and bound to the region. Raises ConfigurationError for a region that is not configured."""
        return None if self.pipeline is None else bind_region(pipeline_from(self.pipeline), self.region)

    def in_region(self, name: str) -> Workspace:
        """The same for the output of a region, which has another default ledger."""
        return replace(self, pipeline=self.loaded_pipeline, region=name, keys=self._keys_for(self.config))

    def showing(self, *outputs: LocationLike) -> Workspace:
        """The same for a command that shows or changes the content of these outputs, so that their rules decide."""
        return replace(
            self, pipeline=self.loaded_pipeline, region=None, keys=self._keys_for(self.config), shown=outputs
        )

    def _keys_for(self, config: Config) -> Keyring | PathText | None:
        """The keyring for the same command under another configuration: the one that was passed, or that of the same file."""
        if self.keys is None and config.path != self.config.path:
            return None
        with suppress(KeyringError):
            return self.keyring_or_none
        return self.keys

    def with_pipeline(self, pipeline: Pipeline) -> Workspace:
        """The same with another pipeline, which is loaded and bound to its region already."""
        return replace(self, pipeline=pipeline, region=None, keys=self._keys_for(pipeline.config), found_config=None)

    def of_output(self, output: Location, pipeline: Pipeline) -> Workspace:
        """That of one of the outputs that a command changes, with its pipeline of today, and the keyring and the named ledger."""
        keyring = self.keyring()
        return Workspace(self.ledger, output, pipeline, keyring, clock=self.clock, ledgers=self.ledgers)

    @property
    def job(self) -> Pipeline:
        """The pipeline, which the command needs. Raises ConfigurationError if there is none."""
        if self.loaded_pipeline is None:
            raise ConfigurationError("no pipeline is named", hint="Pass --pipeline PIPELINE.")
        return self.loaded_pipeline

    @cached_property
    def target(self) -> Location:
        """The output that is read or changed: the one that is named, else that of the pipeline."""
        return self.job.target() if self.output is None else parse_output_location(self.output)

    @cached_property
    def loaded_pipelines(self) -> list[Pipeline]:
        """The pipeline and the further ones, loaded."""
        pipelines = [] if self.loaded_pipeline is None else [self.loaded_pipeline]
        return [*pipelines, *map(pipeline_from, self.further_pipelines)]

    @property
    def named_outputs(self) -> list[LocationLike]:
        """The output, or else that of the pipeline, and the outputs of the further pipelines."""
        targets: list[LocationLike] = [job.target() for job in self.loaded_pipelines]
        if self.output and self.pipeline is not None:
            targets.pop(0)
        return [self.output, *targets] if self.output else targets

    @cached_property
    def configured_outputs(self) -> list[ConfiguredOutput]:
        """The named outputs, and those of other pipelines below its `minimize.yaml` whose configuration has the same ledger."""
        named = [] if self.output is None else [ConfiguredOutput(self.output, None)]
        config = self.config.path
        others = [] if config is None else [*find_configured_outputs(config.parent)]
        return [
            *named,
            *(ConfiguredOutput(job.target(), job.path) for job in self.loaded_pipelines),
            *(
                ConfiguredOutput(output, folder / PIPELINE_FILE)
                for folder, output in others
                if self._has_ledger_of(folder, output)
            ),
        ]

    def _has_ledger_of(self, folder: Path, output: Location) -> bool:
        """Whether the ledger is also that of an output of a pipeline in this folder."""
        with suppress(LedgerError):
            return self.address.is_same(find_ledger(start=load_config(folder, self.config), output=output))
        return False

    @cached_property
    def folder(self) -> Path:
        """The start of the search for `minimize.yaml`: the folder of the pipeline, else that of the output's pipeline or the
        output, else the current one."""
        job = self.loaded_pipeline
        if job is not None:
            return job.folder
        return Path.cwd() if self._decisive_output is None else configuration_folder(self._decisive_output)

    @cached_property
    def config(self) -> Config:
        """The configuration: that of the pipeline, else the one that is found from the folder."""
        if self.found_config is not None:
            return self.found_config
        job = self.loaded_pipeline
        return load_config(self.folder) if job is None else job.config

    @property
    def _decisive_output(self) -> LocationLike | None:
        """The output that determines configuration and ledger if no pipeline is named."""
        return self.output if self.output is not None else next(iter(self.shown), None)

    @cached_property
    def keyring_or_none(self) -> Keyring | None:
        """The keyring; None if none is configured. Raises KeyringError if it cannot be read."""
        return find_keyring(None, self.config) if self.keys is None else find_keyring(self.keys)

    def keyring(self, signed: str = "change") -> Keyring:
        """The keyring, which signs changes and makes subject tokens. Raises KeyringError, which names what would be signed."""
        if self.keyring_or_none is None:
            hint = "Create one with `minimize keys new FILE`, then pass --keys FILE or set MINIMIZE_KEYS."
            raise KeyringError(f"no keyring found; one is needed to sign the {signed}", hint=hint)
        return self.keyring_or_none

    def load_settings(self, source: Any = None) -> SettingsRows | None:
        """The collection settings in effect; None if none are configured, so that every feature is off.

        Takes what replaces the settings of the pipeline: a path, a table, `ledger`. Raises PolicyError, LedgerError, and
        KeyringError if a key of the subject tokens is missing.
        """
        configured = self.job.settings if source is None else source
        if configured is None:
            return None
        if isinstance(configured, str) and configured == LEDGER_SETTINGS:
            with self.open_ledger() as ledger:
                rows: SettingsRows = load_ledger_settings(ledger)
        else:
            rows = load_settings(normalize_path(self.job.folder / configured) if source is None else configured)
        return rows.with_folding(self.job.policy.settings_folding, self.job.policy.levels)

    def require_settings(self, source: Any, tenant: str | None) -> None:
        """Checks `settings/read` if the collection settings come from the ledger: those of a source, or else of the pipeline.

        A file of settings is readable by the caller. Raises the errors of `require`.
        """
        configured = self.job.settings if source is None else source
        if isinstance(configured, str) and configured == LEDGER_SETTINGS:
            self.require("settings/read", tenant=tenant)

    @cached_property
    def verifier(self) -> Keyring | None:
        """The keyring, to verify what is read; None if there is none that can be read."""
        with suppress(KeyringError):
            return self.keyring_or_none
        return None

    @cached_property
    def address(self) -> Address:
        """The address of the ledger, which may not exist yet. Raises LedgerError if no address is configured."""
        job = self.loaded_pipeline
        output = self._decisive_output if self.output is not None or job is None else job.target()
        return find_ledger(self.ledger, start=self.config, output=output)

    @property
    def has_address(self) -> bool:
        """Whether an address of the ledger is configured."""
        with suppress(LedgerError):
            return self.address is not None
        return False

    def check_ledger(self, named: Iterable[LocationLike] = ()) -> None:
        """Raises RefusedError if the receipts of its own output, or of a named one, name another ledger (E303), or if the last
        of them was signed with another keyring (E310)."""
        for chain in self._chains(named):
            check_ledger(self.address, chain, self.open_ledger)
            check_keyring(self.keyring(), chain)

    def open_output(self) -> tuple[Workspace, PublishedOutput]:
        """Its output, found and checked for a change, and the workspace with today's pipeline of it.

        Raises OutputError, PolicyError, RefusedError, KeyringError.
        """
        chain = self.load_receipts()
        if not chain:
            raise OutputError("nothing has been published to this output", hint="Run `minimize run` first.")
        job = find_pipeline(self.target, chain[-1], self.pipeline, self.config)
        bound = self.with_pipeline(job)
        bound.check_changeable(chain)
        policies = PolicyCache(job.policy.purposes, job.config)
        return bound, PublishedOutput(self.target, chain, bound.keyring("receipt"), job, policies)

    def load_receipts(self) -> tuple[Receipt, ...]:
        """The receipts of its output, by sequence. Its ledger has the lease to complete an interrupted publication in a bucket.

        Raises OutputError if there is no output, or a publication does not end.
        """
        return load_receipts(self.target, self._ledger_of_receipts)

    def _ledger_of_receipts(self) -> Address:
        check_ledger(self.address, read_receipts(self.target), self.open_ledger)
        return self.address

    def check_changeable(self, chain: Sequence[Receipt]) -> None:
        """Raises RefusedError for another ledger or keyring than that of these receipts, and KeyringError."""
        keyring = self.keyring("receipt")
        check_ledger(self.address, chain, self.open_ledger)
        check_keyring(keyring, chain)

    def check_target(self) -> None:
        """Raises RefusedError if the keyring (E310) or the ledger (E303) is not that of the receipts of its output."""
        if has_runs(self.target):
            chain = read_receipts(self.target)
            if self.keyring_or_none is not None:
                check_keyring(self.keyring_or_none, chain)
            check_ledger(self.address, chain, self.open_ledger)

    def _chains(self, named: Iterable[LocationLike] = ()) -> Iterator[Sequence[Receipt]]:
        places = map(parse_output_location, [*named, *self.named_outputs])
        return (load_receipts(place) for place in places if has_runs(place))

    @property
    def access(self) -> AccessRules | None:
        """The access rules in force: those of the configured file or, after an adoption, the latest adopted version.

        None if no file is configured and the ledger has no adoption. Raises PolicyError for a missing or faulty file; LedgerError
        and KeyringError after an adoption.
        """
        return rules_in_force(self)

    @property
    def required_access(self) -> AccessRules:
        """The access rules in force. Raises PolicyError if no access file is configured."""
        return required_rules(self)

    @property
    def actor(self) -> Actor:
        """The current actor (`MINIMIZE_ACTOR`), with the permissions of its account."""
        actor = current_actor()
        lookup = self.ledgers.permissions_of
        return actor if lookup is None else replace(actor, permissions=lookup(actor.user or ""))

    def require(
        self,
        permission: str,
        *,
        tenant: str | None = None,
        dataset: str | None = None,
        category: Category | None = None,
        about: str | None = None,
        any_ledger: bool = False,
        changed_ledger: bool = False,
    ) -> AccessDecision | None:
        """Checks that the current actor (`MINIMIZE_ACTOR`) has a permission, and records the decision in the audit log.

        `tenant`, `dataset` and its `category` limit the check; without them, it concerns all of them. `about` names the resource
        in the log. The rules of each shown output decide, and the log of its ledger has the decision. `any_ledger` accepts
        another ledger than that of a shown output. `changed_ledger` is for a command that checks the ledger: the configured
        access file decides if the acts cannot be proven. The decision is then not recorded, because nothing is recorded in such a
        ledger.
        Returns the decision, or None if no access file is configured or adopted. Everything is then allowed, except operations
        that require access rules: they need `access: off` in the configuration.
        Raises AccessDenied, RefusedError (R010; E303 for another ledger than that of a shown output), PolicyError for a missing
        or faulty access file, LedgerError, KeyringError.
        """
        request = PermissionRequest(
            permission, self.now, canonical_id(tenant), dataset, category, about, changed_ledger=changed_ledger
        )
        authorities = self.authorities(any_ledger=any_ledger, decides=is_ledger_wide(permission))
        decisions = [check_permission(request, each) for each in authorities]
        return decisions[0]

    def permits(self, permission: str, *, dataset: str | None = None, category: Category | None = None) -> bool:
        """Whether the current actor has a permission for all tenants, of a dataset of this category. Nothing is recorded.

        For a part of a result that is left out without it. False if the rules in force cannot be determined.
        """
        try:
            rules = [each.access for each in self.authorities()]
        except MinimizeError:
            return False
        request = PermissionRequest(permission, self.now, dataset=dataset, category=category)
        account = account_of_actor(current_actor())
        return all(request.decide(each, account).allowed for each in rules if each is not None)

    def readable_tenants(
        self,
        permission: str,
        *,
        tenant: str | None = None,
        dataset: str | None = None,
        category: Category | None = None,
        about: str | None = None,
    ) -> TenantSet:
        """The tenants whose entries the current actor may read, by a permission to read. The decision is recorded.

        All tenants if no access file is configured or adopted and the permission does not require one. With `tenant`, this tenant
        must be among them. `dataset` and its `category` limit the permission. Raises like `require`, also for an account that may
        read the entries of no tenant.
        """
        request = PermissionRequest(
            permission, self.now, canonical_id(tenant), dataset, category, about=about, any_tenant=True
        )
        authorities = self.authorities(decides=is_ledger_wide(permission))
        decisions = [check_permission(request, each) for each in authorities]
        return common_tenants(ALL_TENANTS if each is None else each.tenants for each in decisions)

    def authorities(self, *, any_ledger: bool = False, decides: bool = False) -> Iterator[Workspace]:
        """Itself, and a workspace for each shown or searched output that another configuration or ledger governs.

        An act counts for all outputs of the ledger, so a command that `decides` needs the rules of each of them. An output that
        this host cannot open is left out: a ledger on a server can have outputs of many hosts.

        Raises RefusedError (E303), unless `any_ledger` is set, if the ledger is not the one that the receipts of a shown output
        name: the access rules that were adopted in that one would not apply. Warns (W058) instead if the ledger is lost, and
        the configuration requires no rules. Commands that change an output check its ledger themselves.
        """
        shown = [self._governing(place) for place in self.shown]
        for workspace in () if any_ledger else shown:
            for chain in workspace._chains():
                if workspace._has_lost_ledger:
                    _warn_of_lost_ledger(workspace.address)
                else:
                    check_ledger(workspace.address, chain, workspace.open_ledger)
        authorities: set[tuple[Path | None, str]] = set()
        searched = map(self._governing, self._searched_outputs(decides))
        for workspace in (self, *shown, *searched):
            authority = workspace.config.path, workspace._address_text
            if authority not in authorities:
                authorities.add(authority)
                yield workspace

    def _governing(self, output: LocationLike) -> Workspace:
        """That of the rules of an output: the configuration of its own pipeline, which may be the one that is known already."""
        config = output_config(output, self.config)
        keys = self._keys_for(config)
        return Workspace(self.ledger, output, keys=keys, found_config=config, clock=self.clock, ledgers=self.ledgers)

    def _searched_outputs(self, decides: bool) -> Iterator[Location]:
        """The outputs that the ledger has and this host can open, if the command searches them or decides for them."""
        if not (self.searches or decides):
            return
        with suppress(LedgerError):
            with self.open_ledger() as ledger:
                places = ledger.read(output_locations)
            folders = (parse_output_location(each.folder) for each in places if each.is_reachable)
            yield from (folder for folder in folders if has_runs(folder))

    @property
    def _has_lost_ledger(self) -> bool:
        """Whether the configured ledger is missing, and the configuration has no access file.

        A ledger that the caller names does not count: it would end the rules that were adopted in the right one.
        """
        named_by = self.address.named_by
        is_callers = named_by in (PASSED_LEDGER, LEDGER_VARIABLE)
        return not (is_callers or self.address.exists or self.config.has_access_file)

    @property
    def _address_text(self) -> str:
        """The address of the ledger as text; empty if none is configured."""
        return str(self.address) if self.has_address else ""

    def open_ledger(self, *, create: bool = False, signs: bool = False) -> AbstractContextManager[Ledger]:
        """The ledger, open in a `with` statement. It is opened once for all that a command does at the same time.

        Raises LedgerError, and KeyringError if it `signs` changes and there is no keyring to sign them.
        """
        verifier = self.keyring() if signs else self.verifier
        return self.ledgers.use(self.address, create=create, verifier=verifier, clock=self.clock)


def _warn_of_lost_ledger(address: Address) -> None:
    log.warning(
        "the ledger %s (%s) does not exist, but receipts of this output name a ledger: its settings, consents, erasures and"
        " requests are unknown, and so are access rules that were adopted in it; if it is lost, run `minimize runs"
        " adopt-ledger OUTPUT --reason TEXT`",
        address,
        address.named_by,
        extra={"code": "W058"},
    )


@contextmanager
def optional_ledger(workspace: Workspace, *, needed: bool) -> Iterator[Ledger | None]:
    """The open ledger; None if there is none and none is needed. Raises LedgerError."""
    with ExitStack() as stack:
        ledger: Ledger | None = None
        with suppress(*(() if needed or workspace.ledger is not None else (LedgerError,))):
            ledger = stack.enter_context(workspace.open_ledger())
        yield ledger
