"""`risk`: how unique the persons of a file or an output are."""

from __future__ import annotations

from datetime import date
from typing import Any

import click

from minimize.cli.options import OPTIONS, DataPathParameter
from minimize.cli.printing import write_page
from minimize.cli.verb import verb
from minimize.pages import html_page
from minimize.report.measured_risk import RiskRequest, measure_risk
from minimize.results import Printable


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


class PopulationParameter(click.Path):
    """A file, or the number of members of a population."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns a path, or a whole number."""
        return int(value) if str(value).isdecimal() else super().convert(value, param, ctx)


@verb(
    "risk",
    click.Argument(["place"], type=DataPathParameter(), metavar="DATA|OUTPUT|PIPELINE"),
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
