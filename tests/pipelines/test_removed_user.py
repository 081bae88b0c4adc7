"""A user whom the directory removed is found in the shipped outputs by the id of the directory."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from .shipped import AT, PIPELINES, minimize, new_keys, sample


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Path:
    return new_keys(tmp_path / "own.keys")


def run(name: str, folder: Path, keys: Path) -> None:
    """Runs a shipped pipeline into a folder of this test, with the ledger next to the keys."""
    source = f"{PIPELINES.parent}/sample_data/device_telemetry"
    done = minimize(
        *("run", str(PIPELINES / name), "--at", AT, "--output", str(folder / name), "--json"),
        *("--input", f"{source}/{{date}}/*.ndjson.gz", "--settings", f"{source}/settings.csv"),
        keys=keys,
    )
    assert done.code in (0, 4), done.err


def user_of_one_device() -> tuple[str, str]:
    """A user with one device that nobody else has, and the tenant."""
    pairs = {
        (str(each["tenant_id"]), str(each["user_id"]), str(each["device_id"]))
        for each in sample("device_telemetry")
        if {"tenant_id", "user_id", "device_id"} <= each.keys()
    }
    devices = Counter(device for _, _, device in pairs)
    users = Counter(user for _, user, _ in pairs)
    return next((user, tenant) for tenant, user, device in sorted(pairs) if devices[device] == users[user] == 1)


def test_a_removed_user_is_deleted_from_every_output_of_the_check_ins(tmp_path: Path, keys: Path) -> None:
    run("device_telemetry", tmp_path, keys)
    run("device_support", tmp_path, keys)
    user, tenant = user_of_one_device()
    named = (user, "--id-field", "user_id", "--tenant", tenant)
    before = minimize("subject", "view", *named, "--json", keys=keys).json["subjects"][0]
    assert {each["pipeline"] for each in before["held"]} == {"device_telemetry", "device_support"}
    done = minimize("subject", "delete", *named, "--linked", "--yes", "--json", keys=keys)
    assert (done.code, done.json["rows"]) == (0, before["rows"])
    after = minimize("subject", "view", *named, "--linked", "--json", keys=keys).json["subjects"][0]
    assert (after["rows"], after["not_searched"]) == (0, [])


def test_an_output_written_without_the_users_id_keeps_the_request_open(tmp_path: Path, keys: Path) -> None:
    pipelines = tmp_path / "pipelines"
    shutil.copytree(PIPELINES, pipelines)
    shutil.copytree(PIPELINES.parent / "out", tmp_path / "out")
    policy = pipelines / "device_telemetry" / "policy.yaml"
    lines = policy.read_text().splitlines()
    assert sum(each.lstrip().startswith("user_id:") for each in lines) == 1
    dropped = "  user_id: {type: string, role: identifier, do: drop}"
    policy.write_text("\n".join(dropped if each.lstrip().startswith("user_id:") else each for each in lines))
    source = f"{PIPELINES.parent}/sample_data/device_telemetry"
    ran = minimize(
        *("run", str(pipelines / "device_support"), "--at", AT, "--output", str(tmp_path / "published")),
        *("--input", f"{source}/{{date}}/*.ndjson.gz", "--settings", f"{source}/settings.csv"),
        keys=keys,
    )
    assert ran.code in (0, 4), ran.err
    user, tenant = user_of_one_device()
    named = (user, "--id-field", "user_id", "--tenant", tenant)
    done = minimize("subject", "delete", *named, "--yes", "--json", keys=keys)
    assert (done.code, done.error["code"]) == (1, "Q004")
    (request,) = minimize("subject", "status", "--json", keys=keys).json["requests"]
    assert request["state"] == "failed"
    reason = ("--unsearchable", "device_support=run again under the new policy")
    assert minimize("subject", "delete", *named, "--yes", *reason, keys=keys).code == 0
