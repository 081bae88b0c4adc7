"""Every output in which somebody may stand."""

from __future__ import annotations

from minimize.governance.subjects.outputs import outputs
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from tests.job.house import House, events


def test_the_ledger_knows_every_output_that_was_published(house: House) -> None:
    house.brings(events(20))
    other = house.folder / "other"
    ledger = house.folder / "house.db"
    for output in (house.out, other):
        house.run(output=output, ledger=ledger)
    with open_ledger(find_ledger(ledger)) as book:
        found, missed = outputs(book)
    assert {each.folder for each in found} == {house.out, other}
    assert missed == ()


def test_an_output_that_is_named_and_known_is_looked_at_once(house: House) -> None:
    house.brings(events(20))
    house.run()
    with open_ledger(find_ledger(house.out / "ledger.db")) as book:
        found, _ = outputs(book, [house.out])
    assert len(found) == 1


def test_an_output_that_is_gone_is_said_to_be(house: House) -> None:
    house.brings(events(20))
    ledger = house.folder / "house.db"
    house.run(ledger=ledger)
    house.out.rename(house.folder / "elsewhere")
    with open_ledger(find_ledger(ledger)) as book:
        found, (missed,) = outputs(book)
    assert found == ()
    assert (missed.folder, missed.pipeline, missed.why) == (str(house.out), "checkins", "E205")


def test_aggregates_are_about_nobody_alone(house: House) -> None:
    house.brings(events(60))
    house.run()
    ((output,), _) = outputs(None, [house.out])
    assert {file.path.split("/")[0] for _, file in output.files()} == {"records"}
