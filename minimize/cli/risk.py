"""`risk`: how unique the persons of a file or an output are, and attacks on published records."""

from __future__ import annotations

from datetime import date
from typing import Any

import click

from minimize.cli.options import DATE, MADE_BY_HELP, OPTIONS, DataPathParameter
from minimize.cli.printing import write_page
from minimize.cli.verb import examples, verb
from minimize.pages import html_page
from minimize.report.measured_risk import RiskRequest, measure_risk
from minimize.results import Printable
from minimize.review.published_attacks import attack_output, compare_releases


class GroupWithArgument(click.Group):
    """A command with an argument of its own that also has commands. A first word that names one of them is that command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments of the command that is named, or its own."""
        if args and args[0] in self.commands:
            ctx.params = {str(param.name): None for param in self.params if param.expose_value}
            return click.Group(self.name, commands=self.commands).parse_args(ctx, args)
        ctx.allow_interspersed_args, ctx.allow_extra_args = True, False
        return click.Command.parse_args(self, ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage of its own arguments; the help lists the commands below."""
        return click.Command.collect_usage_pieces(self, ctx)


class PlaceArgument(click.Argument):
    """The argument of a command that also has commands, whose usage does not show it."""

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The argument in a line of usage."""
        return super().get_usage_pieces(ctx) if isinstance(ctx.command, click.Group) else []


class PopulationParameter(click.Path):
    """A file, or the number of members of a population."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns a path, or a whole number."""
        return int(value) if str(value).isdecimal() else super().convert(value, param, ctx)


@examples(
    "minimize risk patients.parquet --quasi age --quasi city --sensitive illness",
    "minimize risk out/device_telemetry --sensitive compliance_state --html risk.html",
    "minimize risk survey.csv --quasi age --quasi city --population 83000000",
)
@verb(
    "risk",
    PlaceArgument(["place"], type=DataPathParameter(), metavar="DATA|OUTPUT|PIPELINE"),
    click.Option(
        ["--quasi"],
        multiple=True,
        metavar="FIELD",
        help="Field whose values an attacker may know. Repeatable. [default: the released fields with the role quasi]",
    ),
    click.Option(
        ["--sensitive"],
        multiple=True,
        metavar="FIELD",
        help="Field whose values an attacker wants to learn. Repeatable.",
    ),
    click.Option(
        ["--person"],
        metavar="FIELD",
        help="Field that identifies a person or a device. [default: the policy's subject, else each record is one]",
    ),
    click.Option(
        ["--population"],
        type=PopulationParameter(dir_okay=False),
        metavar="FILE|NUMBER",
        help="Parquet or CSV file of the population from which the data was taken, or the number of its members.",
    ),
    OPTIONS["--date"](help="Only this batch date of an output. [default: all dates in force]"),
    "--html",
    OPTIONS["--region"](help="Region whose output is measured. Required for a PIPELINE with regions."),
    *("--ledger", "--keys"),
    kind=GroupWithArgument,
    invoke_without_command=True,
)
def risk_group(
    place: str,
    quasi: tuple[str, ...],
    sensitive: tuple[str, ...],
    person: str | None,
    population: str | int | None,
    date: date | str | None,
    html: str | None,
    **places: str | None,
) -> Printable:
    """Measure how unique persons are in a Parquet or CSV file, an output, or the output of a pipeline.

    The result has numbers of persons, records and combinations, and no value: k, the unique persons, the fields that make them
    unique, the risk of re-identification, and what can be inferred about sensitive fields. Records without a person count as
    one person. With access rules, it needs `run/read`, and `dataset/read` with a file of a population. It is limited to the
    tenants in the account's scope.
    """
    on = None if date is None else str(date)
    measured, result = measure_risk(place, RiskRequest(quasi, sensitive, person, population, on), **places)
    return result if html is None else write_page(result, html, html_page(measured.document))


_QUASI = click.Option(
    ["--quasi", "quasi_identifiers"],
    multiple=True,
    metavar="FIELD",
    help="Released field that the attacker knows. Repeatable. [default: the released fields with the role quasi]",
)
_PERSON = click.Option(
    ["--person"],
    metavar="FIELD",
    help="Released field that identifies a data subject. [default: the policy's subject, else each record is one]",
)
_PLACES = (OPTIONS["--pipeline"](help=MADE_BY_HELP), "--ledger", "--keys")


@examples(
    "minimize risk attack out/device_telemetry",
    "minimize risk attack out/device_telemetry --quasi model --quasi carrier --sensitive compliance_state",
)
@verb(
    "attack",
    OPTIONS["OUTPUT"](type=DataPathParameter(file_okay=False)),
    _QUASI,
    click.Option(
        ["--sensitive"],
        multiple=True,
        metavar="FIELD",
        help="Released field that the attacker wants to learn. Repeatable. "
        "[default: the sensitive fields of the pipeline's bound, else the released fields with the role sensitive]",
    ),
    _PERSON,
    click.Option(["--date", "dates"], type=DATE, multiple=True, metavar="D", help="Only this batch date. Repeatable."),
    *_PLACES,
    group=risk_group,
)
def attack_command(output: str, dates: tuple[str, ...], **arguments: Any) -> Printable:
    """Attack the published records of OUTPUT as an outsider would, and print how often each attack succeeds.

    singling_out isolates a person by three of the known fields. linkage picks a person's records among those with the same known
    fields. inference guesses a sensitive value; its control guesses the values of people who are held out, and the risk is what
    the release adds: (attack - control) / (1 - control). Each rate has a 95 % interval. No value is printed.

    `minimize risk ./attack` measures a file of this name. With access rules, it needs `run/read` for all tenants.
    """
    return attack_output(output, dates=tuple(map(str, dates)), **arguments)


@examples("minimize risk differences out/device_telemetry")
@verb(
    "differences",
    OPTIONS["OUTPUT"](type=DataPathParameter(file_okay=False)),
    _QUASI,
    _PERSON,
    *_PLACES,
    group=risk_group,
)
def differences_command(output: str, **arguments: Any) -> Printable:
    """Compare the releases of OUTPUT, and print how many persons each difference isolates.

    A person who joins, leaves or changes between two releases is isolated if nobody else with the same known fields does. Each
    release is compared with the one of its date that it replaced, if its files are left, and each batch date with the next one.
    Replaced releases without files are listed: a recipient may have kept them.

    With access rules, it needs `run/read` for all tenants.
    """
    return compare_releases(output, **arguments)


@examples(
    "minimize risk levels pipelines/device_telemetry",
    "minimize risk levels pipelines/device_telemetry --write",
)
@verb(
    "levels",
    "PIPELINE",
    click.Option(["--write"], is_flag=True, help="Write the levels into the policy and the pipeline."),
    OPTIONS["--output"](help="Output whose levels are shown, instead of the pipeline's."),
    "--keys",
    group=risk_group,
)
def levels_command(pipeline: str, output: str | None, keys: str | None, *, write: bool) -> Printable:
    """Show the levels that searches chose for the current dates of PIPELINE: for each field with `auto` the coarsest.

    With --write, `auto` in the policy becomes the technique at that level, so that people review what is released, and every
    date has the same levels. Each level is safe for the dates that chose it. The next run checks the bound again.
    """
    from minimize.review.chosen_levels import show_levels

    return show_levels(pipeline, output=output, keys=keys, write=write)
