"""`usage_events`: what people do with the client application; the end user holds the switch, the developer another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

import numpy as np
import pyarrow as pa

from minimize.samples import lines, values
from minimize.samples.base import DAY, TENANTS, Slice, delayed
from minimize.samples.collection import Clock, Setting, said, switched
from minimize.samples.faults import Faults
from minimize.samples.lines import member, quoted, texts
from minimize.samples.people import addresses, people
from minimize.samples.values import Ints, Random, chance, only

PER_USER = 12
"""Events a day."""
LARGEST = 300_000
"""Users; larger samples have more events a user."""

KINDS = (
    "app_launch", "enrollment_call", "sdk_action", "page_view", "page_action", "crash",
    "failure.network", "failure.runtime", "failure.task_schedule", "failure.enrollment", "failure.aad_auth",
)  # fmt: skip
WEIGHTS = (20, 5, 20, 25, 20, 2, 3, 2, 1, 1, 1)
CRASH = 5
FEATURES = tuple(
    f"company_portal.{name}" for name in ("devices", "apps", "sync", "support", "profile", "news", "reset_passcode")
)
COMMANDS = ("sync", "enroll", "retire", "check_compliance", "install_app")
ERRORS = ("0x87D1041C", "0x80070005", "0x87D13B9F", "0x80180014", "0x8018002A")
MODES = ("MAM+MDM", "MAM without enrolment", "MDM")
PLATFORMS = ("windows", "ios", "android", "macos")
PLATFORM_VERSIONS = (("10.0.19045", "10.0.22631"), ("17.5.1", "18.1"), ("13", "14"), ("14.5.1", "15.1"))


class UsageEvents:
    """Users and what they do in a day."""

    schema: ClassVar[pa.Schema] = pa.schema(
        [
            *((name, pa.string()) for name in ("event_id", "tenant_id", "sdk_user_id", "display_name", "user_email")),
            *(
                (name, pa.string())
                for name in ("management_mode", "platform", "platform_version", "app_version", "sdk_version")
            ),
            ("event_time", pa.timestamp("ms", "UTC")),
            *(
                (name, pa.string())
                for name in ("event_type", "session_guid", "correlation_id", "client_ip", "page_url")
            ),
            *((name, pa.string()) for name in ("feature_name", "command_name", "error_code", "feedback")),
            *((name, pa.int64()) for name in ("use_count", "response_time_ms", "duration_ms")),
            ("install_succeeded", pa.bool_()),
        ]
    )

    def __init__(self, per_day: int, seed: int) -> None:
        random = np.random.default_rng([seed, 2])
        count = min(LARGEST, max(1, -(-per_day // PER_USER)))
        self._who = people(seed)
        self.users = values.guids(random, count)
        self.tenants = values.codes(random, count, len(TENANTS), 0.6)
        self._members = lines.members([*self._person(random), *self._client(random)])
        self._addresses = texts(addresses(random))
        self._notes = texts(self._who.notes)

    @property
    def faults(self) -> Faults:
        """A password in an event, a count that is a word …"""
        return Faults(
            missing=("sdk_user_id", "tenant_id"),
            wrong={"use_count": "three", "response_time_ms": 12.5},
            time="event_time",
            forbidden={"contacts": ["Carol"], "password": "correct horse"},
            strange={"experiment": "b", "carol@mail.example": 1},
        )

    def records(self, part: Slice, random: Random) -> pa.StringArray:
        """Events in the order in which they arrive."""
        user = values.codes(random, part.count, len(self.users), 0.3)
        span = max(1, DAY * part.count // max(1, part.of))
        start = part.midnight + DAY * part.start // max(1, part.of)
        events, arrival = delayed(start + random.integers(0, span, part.count), random)
        return self._render(user[arrival], events[arrival], random)

    def settings(self, clock: Clock, random: Random) -> Sequence[Setting]:
        """Levels by administrators, the SDK by its developer, usage by each user for themselves."""
        return [*_levels(clock), *_sdk(clock), *self._choices(clock, random)]

    def _choices(self, clock: Clock, random: Random) -> Iterator[Setting]:
        """Seven users in ten turn it on; a few of them off again, and one in fifty back on after a pause."""
        mood = random.random(len(self.users))
        for user, tenant, feels in zip(self.users.to_pylist(), self.tenants.tolist(), mood.tolist(), strict=True):
            yield from switched(TENANTS[tenant], "usage", _moments(clock, feels), "user", subject=user)

    def _person(self, random: Random) -> list[pa.StringArray]:
        who, count = self._who, len(self.users)
        person = pa.array(random.integers(0, len(who.given), count))
        names = texts([f"{given} {family}" for given, family in zip(who.given, who.family, strict=True)])
        return [
            member("tenant_id", texts(TENANTS).take(pa.array(self.tenants))),
            member("sdk_user_id", quoted(self.users)),
            member("display_name", names.take(person)),
            member("user_email", texts(who.addresses("mail.example")).take(person)),
        ]

    def _client(self, random: Random) -> list[pa.StringArray]:
        count = len(self.users)
        platform = values.weighted(random, count, (30, 35, 30, 5))
        version = platform * 2 + random.integers(0, 2, count)
        apps = texts(("5.2401.3", "5.2409.0", "5.2411.1", "4.9.12"))
        return [
            member("management_mode", texts(MODES).take(pa.array(random.integers(0, 3, count)))),
            member("platform", texts(PLATFORMS).take(pa.array(platform))),
            member(
                "platform_version", texts([text for pair in PLATFORM_VERSIONS for text in pair]).take(pa.array(version))
            ),
            member("app_version", apps.take(pa.array(values.codes(random, count, 4, 1.0)))),
            member("sdk_version", texts(("3.2", "3.1.4")).take(pa.array(random.integers(0, 2, count)))),
        ]

    def _render(self, user: Ints, events: Ints, random: Random) -> pa.StringArray:
        kind = values.weighted(random, len(user), WEIGHTS)
        columns = [
            member("event_id", quoted(values.guids(random, len(user)))),
            self._members.take(pa.array(user)),
            member("event_time", quoted(values.times(events))),
            member("event_type", texts(KINDS).take(pa.array(kind))),
            *self._session(user, events, random),
            *_deeds(kind, random),
            member("feedback", only(_any(self._notes, len(user), random), chance(random, len(user), 0.02))),
        ]
        return lines.record(columns)

    def _session(self, user: Ints, events: Ints, random: Random) -> list[pa.StringArray]:
        count = len(user)
        sessions = values.guids(random, 1 + count // 3)
        pages = texts(
            [
                f"https://user{number}@portal.example:443/{feature}?id={number}"
                for number, feature in enumerate(FEATURES)
            ]
        )
        return [
            member("session_guid", quoted(sessions.take(pa.array((user * 31 + events // (DAY // 4)) % len(sessions))))),
            member("correlation_id", quoted(values.guids(random, count))),
            member("client_ip", self._addresses.take(pa.array(user * 11 % len(self._addresses)))),
            member("page_url", only(_any(pages, count, random), chance(random, count, 0.4))),
        ]


def _deeds(kind: Ints, random: Random) -> list[pa.StringArray]:
    count = len(kind)
    failed, used = kind >= CRASH, (kind >= 2) & (kind < CRASH)
    response = np.minimum(random.lognormal(5.3, 0.8, count), 120_000).astype(np.int64)
    installed = lines.numbers(pa.array(chance(random, count, 0.96)))
    return [
        member("feature_name", only(_skewed(FEATURES, count, random), used)),
        member("command_name", only(_skewed(COMMANDS, count, random), kind == 2)),
        member("use_count", only(lines.numbers(pa.array(1 + random.poisson(1.2, count))), used)),
        member("response_time_ms", only(lines.numbers(pa.array(response)), ~failed)),
        member("duration_ms", lines.numbers(pa.array(response * 3 + 7))),
        member("install_succeeded", only(installed, kind == 1)),
        member("error_code", only(_skewed(ERRORS, count, random), failed)),
    ]


def _skewed(pool: Sequence[str], count: int, random: Random) -> pa.StringArray:
    return texts(pool).take(pa.array(values.codes(random, count, len(pool), 0.8)))


def _any(pool: pa.StringArray, count: int, random: Random) -> pa.StringArray:
    return pool.take(pa.array(random.integers(0, len(pool), count)))


def _moments(clock: Clock, feels: float) -> list[datetime]:
    if feels < 0.3:
        return []
    if feels < 0.9:
        return [clock.before(45)]
    return (
        [clock.before(45), clock.before(4)] if feels < 0.98 else [clock.before(45), clock.before(4), clock.on_last(5)]
    )


def _levels(clock: Clock) -> list[Setting]:
    alpine, harbour, orchard, quarry, meadow, _ = TENANTS
    return [
        said(alpine, "level", "enhanced", clock.before(60)),
        said(harbour, "level", "basic", clock.before(60)),
        said(orchard, "level", "full", clock.before(60)),
        said(quarry, "level", "full", clock.before(60)),
        said(quarry, "level", "basic", clock.on_last(12)),
        said(meadow, "level", "required", clock.before(60)),
    ]


def _sdk(clock: Clock) -> list[Setting]:
    paused = [clock.before(60), clock.before(6), clock.on_last(2)]
    rows = [row for tenant in TENANTS[:4] for row in switched(tenant, "sdk", [clock.before(60)], "developer")]
    return [*rows, *switched(TENANTS[4], "sdk", paused, "developer")]
