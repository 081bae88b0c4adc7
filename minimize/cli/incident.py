"""`minimize incident`: what was exposed, whom it affects, who is told by when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.allowing import may
from minimize.cli.findings import print_all
from minimize.cli.lines import on_one_line
from minimize.cli.scoped import line_of, lines_of, unmatched
from minimize.cli.when import TIME
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.governance.incidents import Incident
    from minimize.governance.incidents.incident import Class, Said

CLASSES = ("false_positive", "security_incident", "customer_reportable")
SAID = ("measure", "action", "consequence")


@click.group(name="incident")
def command() -> None:
    """Breaches: what was exposed, whom it affects, who is told by when."""


@command.command("open")
@click.argument("id_", metavar="ID")
@click.option("--title", required=True, help="What it is about; notices have it as their title.")
@click.option("--from", "since", required=True, type=TIME, metavar="TIME", help="When it began.")
@click.option("--to", "until", type=TIME, metavar="TIME", help="When it ended; else when it was known.")
@click.option("--known", type=TIME, metavar="TIME", help="When it became known; else now.")
@click.option(
    "--exposed",
    multiple=True,
    required=True,
    metavar="WHAT",
    help="output:PATH[#NAME], run:ID, date:D, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID, actor:NAME[@FROM/TO]",
)
@options.house
@options.as_json
def open_(id_: str, title: str, exposed: tuple[str, ...], as_json: bool, **words: Any) -> None:
    """Open the incident ID: what was exposed, and when.

    What is named and nothing matches is told: it is recorded all the same, and `scope` looks closer.
    """
    from minimize.governance.incidents import Case, nothing_matches, open_incident
    from minimize.times import moment

    may("incident/open", words)
    now = datetime.now(UTC)
    since, until, known = (moment(words[name]) for name in ("since", "until", "known"))
    case = Case(id_, title, (since or now, until), known or now, exposed)
    house = _house(words)
    found = open_incident(case, house, now)
    lost = [str(each) for each in nothing_matches(found, house)]
    text = "\n".join([*lines_of(found, now), *map(on_one_line, unmatched(lost))])
    options.show({**found.as_json(now), "nothing_matches": lost}, as_json, text)


@command.command("scope")
@click.argument("id_", metavar="ID")
@click.option("--in", "named", multiple=True, metavar="OUTPUT", help="Look here, too; the ledger knows the rest.")
@options.house
@options.as_json
def scope(id_: str, named: tuple[str, ...], as_json: bool, **words: Any) -> None:
    """Work out whom ID affects: from receipts, files, disclosures, the audit log and grants. No other tenant is named."""
    from minimize.governance.incidents import scope as scoped

    may("incident/assess", words)
    now = datetime.now(UTC)
    _show(scoped(id_, _house(words), now, named_=named), as_json, now)


@command.command("declare")
@click.argument("id_", metavar="ID")
@options.house
@options.as_json
def declare(id_: str, as_json: bool, **words: Any) -> None:
    """Declare ID: from now on there are 72 hours to give notice."""
    from minimize.governance.incidents import declare as declared

    may("incident/declare", words)
    now = datetime.now(UTC)
    _show(declared(id_, _house(words), now), as_json, now)


@command.command("measure")
@click.argument("id_", metavar="ID")
@click.argument("text")
@click.option(
    "--as", "what", type=click.Choice(SAID), default="measure", show_default=True, help="Which part of a notice."
)
@options.house
@options.as_json
def measure(id_: str, text: str, what: Said, as_json: bool, **words: Any) -> None:
    """Take down what was done about ID, what tenants should do, or what may follow from it; notices say it."""
    from minimize.governance.incidents import measure as measured

    may("incident/assess", words)
    now = datetime.now(UTC)
    _show(measured(id_, what, text, _house(words), now), as_json, now)


@command.command("notice")
@click.argument("id_", metavar="ID")
@click.option(
    "--to", type=click.Path(file_okay=False), metavar="DIR", help="A new folder is made in it for each version."
)
@click.option("--contact", metavar="WHOM", help="Whom tenants may ask: a name and an address.")
@click.option(
    "--contacts",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Contacts of tenants, CSV or YAML; else the house's.",
)
@click.option("--tenant", "only", type=options.ID, multiple=True, metavar="T", help="These alone.")
@click.option("--sent", "was_sent", is_flag=True, help="Take down that the last notices were sent.")
@options.house
@options.as_json
def notice(id_: str, only: tuple[str, ...], was_sent: bool, as_json: bool, **words: Any) -> None:
    """Draft the next version of the notices of ID, for each tenant that has to be told; --sent once they were sent."""
    from minimize.governance.incidents import sent

    may("incident/notice", words)
    now = datetime.now(UTC)
    if was_sent:
        _show(sent(id_, _house(words), now, only=only), as_json, now)
    else:
        _drafted(id_, only, as_json, words, now)


def _drafted(id_: str, only: tuple[str, ...], as_json: bool, words: Mapping[str, Any], now: datetime) -> None:
    from minimize.errors import ConfigurationError
    from minimize.governance.incidents import draft, find_contacts

    if words["to"] is None or not words["contact"]:
        raise ConfigurationError("a notice says whom to ask", hint="--to DIR --contact WHOM, or --sent")
    house = _house(words)
    known = find_contacts(words["contacts"], house.folder)
    done = draft(id_, Path(words["to"]), words["contact"], known, house, now, only=only)
    lines = [f"version {done.version} for {counted(len(done.tenants), 'tenant')}: {done.folder}"]
    lines += [f"  no contact of {tenant} is known" for tenant in done.nobody]
    options.show(done.as_json(), as_json, "\n".join(map(on_one_line, lines)))


@command.command("lint")
@click.argument("file", type=click.Path(dir_okay=False))
@options.as_json
def lint(file: str, as_json: bool) -> int:
    """Check a file of contacts: CSV or YAML with tenant_id, role (privacy, security, administrator), name, address."""
    from minimize.governance.incidents import lint_contacts

    return print_all(lint_contacts(Path(file)), "error", as_json)


@command.command("exempt")
@click.argument("id_", metavar="ID")
@click.argument("tenant", type=options.ID)
@click.option("--reason", default="", help="Why the tenant need not be told.")
@click.option("--agree", is_flag=True, help="Agree to what somebody else asked for.")
@options.house
@options.as_json
def exempt(id_: str, tenant: str, reason: str, agree: bool, as_json: bool, **words: Any) -> None:
    """Ask that TENANT is not told of ID, or agree to it: that takes another person."""
    from minimize.governance.incidents import agree as agreed
    from minimize.governance.incidents import exempt as asked

    may("incident/notice", words, tenant)
    now, house = datetime.now(UTC), _house(words)
    found = agreed(id_, tenant, house, now) if agree else asked(id_, tenant, reason, house, now)
    _show(found, as_json, now)


@command.command("close")
@click.argument("id_", metavar="ID")
@click.option("--as", "class_", type=click.Choice(CLASSES), required=True, help="What it was.")
@click.option("--reason", required=True, help="Why.")
@options.house
@options.as_json
def close(id_: str, class_: Class, reason: str, as_json: bool, **words: Any) -> None:
    """Close ID. Once declared it stays open until everybody who is to be told was told, or exempted."""
    from minimize.governance.incidents import close as closed

    may("incident/close", words)
    now = datetime.now(UTC)
    _show(closed(id_, class_, reason, _house(words), now), as_json, now)


@command.command("list")
@options.house
@options.as_json
def list_(as_json: bool, **words: Any) -> int:
    """List incidents, and by when notice has to be given. Exit 1 where one is overdue."""
    from minimize.governance.incidents import recorded

    may("incident/read", words)
    now, found = datetime.now(UTC), list(recorded(_house(words)).values())
    text = "\n".join(line_of(each, now) for each in found) or "no incidents"
    options.show({"incidents": [each.as_json(now) for each in found]}, as_json, text)
    return int(any(each.is_overdue(now) for each in found))


@command.command("show")
@click.argument("id_", metavar="ID")
@options.house
@options.as_json
def show(id_: str, as_json: bool, **words: Any) -> None:
    """Show ID: what was exposed, whom it affects, who was told, what was done."""
    from minimize.governance.incidents import named

    may("incident/read", words)
    _show(named(id_, _house(words)), as_json, datetime.now(UTC))


def _show(found: Incident, as_json: bool, now: datetime) -> None:
    options.show(found.as_json(now), as_json, "\n".join(lines_of(found, now)))


def _house(words: Mapping[str, Any]) -> Any:
    from minimize.switching import House

    return House(**{name: words[name] for name in ("ledger", "output", "pipeline", "keys")})
