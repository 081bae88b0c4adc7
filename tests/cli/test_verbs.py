"""The other verbs: verify, init, schema, keys, sample; help, and commands that are used wrongly."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from minimize.cli.main import COMMANDS
from tests.commands import Command
from tests.project import Builds, Project, events, table

PIPELINES = Path(__file__).parents[2] / "pipelines"
WHEN = "2026-11-25T00:00:00Z"


def done_content(project: Project) -> None:
    project.records([*events(40), "broken"])
    project.run()


@pytest.fixture(name="done")
def _done(builds: Builds, project: Project) -> Project:
    return builds.fill(project, done_content)


def test_an_unchanged_output_passes_verify(done: Project, command: Command) -> None:
    said = command("verify", done.out, "--keys", done.keys)
    assert said.code == 0
    assert re.search(r"^verified: 1 receipt, \d+ files in force, \d+ rows$", said.out, re.MULTILINE)


def test_verify_json_states_the_result_and_its_findings(done: Project, command: Command) -> None:
    body = command("verify", done.out, "--keys", done.keys, "--json").json
    assert body["ok"] is True
    assert all(finding["code"].startswith("V") for finding in body["findings"])


def test_an_output_that_was_changed_exits_1(done: Project, command: Command) -> None:
    path = next(path for path in (done.out / "records").rglob("*.parquet"))
    path.write_bytes(path.read_bytes() + b"x")
    said = command("verify", done.out, "--keys", done.keys, "--json")
    assert said.code == 1
    assert said.json["ok"] is False


def test_verification_takes_a_public_key_instead(done: Project, command: Command) -> None:
    pem = done.folder / "public.pem"
    pem.write_text(command("keys", "public", done.keys).out)
    assert command("verify", done.out, "--public-key", pem).code == 0


def test_verification_without_a_key_is_a_mistake(done: Project, command: Command) -> None:
    assert command("verify", done.out).code == 2


def test_verification_of_nothing_is_a_mistake(project: Project, command: Command) -> None:
    assert command("verify", project.folder / "nowhere", "--keys", project.keys).code == 2


def test_a_first_policy_lints_and_plans_and_a_run_reports_that_all_is_dropped(
    project: Project, command: Command
) -> None:
    data = project.records(events(20))
    said = command("init", data, "first")
    assert said.code == 0
    assert "wrote first/policy.yaml" in said.out
    assert command("lint", "first").code == 0
    fields = command("plan", "first", "--json").json["fields"]
    assert {field["action"] for field in fields.values()} == {"drop"}
    ran = command("run", "first", "--keys", project.keys)
    assert ran.code == 2
    assert "every field is dropped" in ran.err


@pytest.mark.parametrize("kind", ["ndjson.gz", "parquet", "csv"])
def test_a_first_policy_runs_once_a_field_is_kept(project: Project, command: Command, kind: str) -> None:
    if kind == "ndjson.gz":
        project.records(events(20))
    else:
        project.columns(table(events(20)), kind=kind)
    (project.folder / "data" / "settings.txt").write_text("not data")
    assert command("init", project.folder / "data", "first").code == 0
    path = project.folder / "first" / "policy.yaml"
    path.write_text(
        path.read_text().replace("tenant_id: {type: string, do: drop}", "tenant_id: {type: string, do: keep}")
    )
    said = command("run", "first", "--keys", project.keys, "--json")
    assert said.code == 0, said.err
    assert said.json["rows"]["written"] == 20
    assert said.json["dates"] == ["2026-11-24"]


def test_init_never_overwrites_a_policy(project: Project, command: Command) -> None:
    data = project.records(events(20))
    assert command("init", data, "first").code == 0
    said = command("init", data, "first")
    assert said.code == 2
    assert "exists" in said.err


def test_init_may_use_a_folder_that_exists(project: Project, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    data = project.records(events(20))
    here = project.folder / "2026 check-ins"
    here.mkdir()
    monkeypatch.chdir(here)
    assert command("init", data, ".").code == 0
    assert command("lint", ".").code == 0


def test_a_first_policy_of_what_is_no_data_is_a_mistake(project: Project, command: Command) -> None:
    (project.folder / "notes.txt").write_text("hello")
    assert command("init", project.folder / "notes.txt", "first").code == 2
    assert command("init", project.folder / "nowhere", "first").code == 2
    assert not (project.folder / "first").exists()


@pytest.mark.parametrize("kind", ["policy", "pipeline"])
def test_the_shipped_files_obey_the_schema(command: Command, kind: str) -> None:
    schema = command("schema", kind).json
    files = sorted(PIPELINES.glob(f"*/{kind}.yaml"))
    assert files
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for file in files:
        validator.validate(YAML(typ="safe", pure=True).load(file))


def test_both_schemas_come_under_their_names(command: Command) -> None:
    assert set(command("schema").json) == {"policy", "pipeline"}


def test_a_new_keyring_is_its_owners_alone(project: Project, command: Command) -> None:
    said = command("keys", "new", "new.keys", "--name", "device", "--name", "user")
    assert said.code == 0
    assert (project.folder / "new.keys").stat().st_mode & 0o777 == 0o600
    listed = [line.split("\t")[0] for line in command("keys", "list", "new.keys").out.splitlines()]
    assert listed == ["device/1", "noise/1", "signing/1", "subject/1", "user/1"]


def test_a_keyring_is_never_overwritten(project: Project, command: Command) -> None:
    before = project.keys.read_bytes()
    said = command("keys", "new", project.keys, "--name", "device")
    assert said.code == 2
    assert project.keys.read_bytes() == before


def test_a_key_gets_a_new_version(project: Project, command: Command) -> None:
    assert command("keys", "add", project.keys, "device").out == f"added device/2 to {project.keys}\n"
    assert command("keys", "add", project.keys, "other").out == f"added other/1 to {project.keys}\n"


def test_no_key_is_ever_printed(project: Project, command: Command) -> None:
    content = project.keys.read_text()
    said = [command("keys", verb, project.keys) for verb in ("list", "public")]
    secrets = [word for word in content.replace('"', " ").split() if len(word) >= 40]
    assert secrets
    assert not any(word in one.out + one.err for word in secrets for one in said)


def test_a_keyring_that_others_can_read_is_refused(project: Project, command: Command) -> None:
    project.keys.chmod(0o644)
    said = command("keys", "list", project.keys)
    assert said.code == 2


def test_the_public_key_is_pem(project: Project, command: Command) -> None:
    assert command("keys", "public", project.keys).out.startswith("-----BEGIN PUBLIC KEY-----\n")


def test_samples_are_the_same_for_the_same_seed(project: Project, command: Command) -> None:
    for folder in ("one", "two"):
        asked = ("sample", "usage_events", "--rows", 50, "--out", folder, "--seed", 3, "--date", "2026-11-24")
        assert command(*asked).code == 0
    (one,), (two,) = (list((project.folder / folder).rglob("*.ndjson.gz")) for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_samples_of_something_else_are_a_mistake(project: Project, command: Command) -> None:
    said = command("sample", "weather", "--out", "here")
    assert said.code == 2
    assert "device_telemetry" in said.err


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_help(command: Command, verb: str) -> None:
    said = command(verb, "--help")
    assert said.code == 0
    assert "Usage:" in said.out


def test_the_list_of_verbs_names_all_of_them(command: Command) -> None:
    said = command("--help")
    assert all(verb in said.out for verb in COMMANDS)
    assert "Exit codes" in said.out


@pytest.mark.parametrize(
    "wrong", [["run"], ["no-such-verb"], ["plan", "x", "--no-such-option"], ["plan", "x", "--preview", "0"]]
)
def test_a_command_used_wrongly_exits_2(command: Command, wrong: list[str]) -> None:
    said = command(*wrong)
    assert said.code == 2
    assert said.err.startswith("error E001: ")


def test_a_usage_error_under_json_is_printed_as_json(command: Command) -> None:
    said = command("run", "--json")
    assert said.code == 2
    assert "PIPELINE" in said.error["message"]
    assert said.error["faults"] == []


def test_help_starts_without_arrow() -> None:
    text = (
        "import sys; from minimize.cli.main import group\n"
        "for verb in ['run', 'plan', 'lint', 'verify', 'init', 'sample', 'schema', 'keys']:\n"
        "    group.main([verb, '--help'], standalone_mode=False)\n"
        "heavy = {'pyarrow', 'numpy', 'pandas', 'pydantic', 'rich', 'cryptography', 'ruamel.yaml'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def imported_by(*words: object) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = (
        "import sys; from minimize.cli.main import entry\ntry: entry()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    call = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_the_help_text_looks_up_no_versions() -> None:
    assert not {"importlib.metadata", "email", "zipfile", "ssl"} & imported_by("--help")


def test_a_run_imports_no_report_server_or_review(project: Project) -> None:
    project.records(events(3))
    found = imported_by("run", project.folder, "--keys", project.keys)
    assert "minimize.runs.runner" in found
    others = {
        "minimize.report",
        "minimize.server",
        "minimize.review",
        "minimize.interop",
        "minimize.governance",
        "minimize.ledger.audit_check",
        "minimize.ledger.audit_truncation",
        "minimize.drafting",
        "minimize.runs.inspection",
        "minimize.runs.verify",
        "minimize_samples",
    }
    packages = {
        "asyncio",
        "duckdb",
        "jinja2",
        "multiprocessing",
        "pandas",
        "polars",
        "psycopg",
        "pyspark",
        "sqlalchemy",
    }
    assert not {*others, *packages} & found


@pytest.mark.parametrize("reader", ["head -c 1", "true"])
def test_a_closed_pipe_is_no_failure(project: Project, reader: str) -> None:
    command = f"{sys.executable} -m minimize schema | {reader} > /dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=project.folder)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "minimize", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("minimize, version")


def test_json_of_every_verb_is_one_document(done: Project, command: Command) -> None:
    for arguments in (["plan", done.folder], ["lint", done.folder], ["verify", done.out, "--keys", done.keys]):
        assert isinstance(json.loads(command(*arguments, "--json").out), dict)
