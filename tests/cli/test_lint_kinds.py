"""Each kind of finding, through the command: its code, how grave it is, its file, its line and a hint.

The line that a finding must name ends in `# !`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Command

HEAD = """\
policy: p
version: 1
purposes: [operations, customer_support]
tenant: tenant_id
subject: device_id
time: event_time
retention: 30d
features: {location: {about: position}}
fields:
  tenant_id: {type: string, do: keep}
  device_id: {type: string, role: identifier, do: {pseudonymize: {key: device, per: tenant_id}}}
  event_time: {type: timestamp, role: quasi, do: {truncate_time: {to: day}}}
  latitude: {type: double, role: quasi, feature: location, do: {round: {to: 0.1}}}
  battery: {type: double, do: {bin: {width: 10}}, in_aggregates: {clip: {min: 0, max: 100}}}
"""
PIPELINE = """\
pipeline: p
policy: policy.yaml
purpose: operations
source: {path: "in/*.ndjson", format: ndjson}
settings: settings.csv
output: out
records: {must_be: pseudonymized}
"""
SETTINGS = """\
tenant_id,subject,setting,value,holder,valid_from,recorded_at
t,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
"""
AGGREGATE = "aggregates:\n  a:\n    group_by: {tenant: tenant_id}\n    suppress: {below: 10}\n"


def head(old: str, new: str) -> str:
    assert old in HEAD
    return HEAD.replace(old, new)


KINDS = [
    # fields
    ("L001", "warning", HEAD + "  ip: {type: string, role: quasi, do: keep}  # !\n", ""),
    ("L002", "error", HEAD + "  note: {type: string, role: free_text, do: keep}  # !\n", ""),
    ("L003", "warning", HEAD + "  note: {type: string, role: free_text, do: {redact: {patterns: [email]}}}  # !\n", ""),
    ("L004", "warning", HEAD + "  imei: {type: string, role: identifier, do: keep}  # !\n", ""),
    ("L005", "warning", HEAD + "  imei: {type: string, role: identifier, do: {mask: {keep_last: 2}}}  # !\n", ""),
    ("L006", "warning", HEAD + "  health: {type: string, role: sensitive, do: keep}  # !\n", ""),
    ("L007", "warning", HEAD + "  phone_number: {type: string, do: keep}  # !\n", ""),
    ("P014", "error", HEAD + "  pin: {type: string, role: secret, do: keep}  # !\n", ""),
    ("P012", "error", HEAD + "  ip: {type: string, do: sha256}  # !\n", ""),
    # pseudonyms
    ("L010", "warning", head("{key: device, per: tenant_id}}}", "{key: device}}}  # !"), ""),
    ("L011", "warning", head("{key: device, per: tenant_id}}}", "{key: device, per: event_time}}}  # !"), ""),
    ("L013", "error", HEAD + "  org_email: {type: string, role: quasi, do: keep}  # !\n", ""),
    # names
    ("L020", "warning", HEAD + "  nowhere: {type: string, do: keep}  # !\n", ""),
    ("L021", "error", head("  battery: {", "  Battery: {").replace("max: 100}}}", "max: 100}}}  # !"), ""),
    ("L022", "warning", HEAD + "  model: {type: string, do: keep}  # !\n", ""),
    # features, levels, settings
    ("L030", "warning", head("{location: {about: position}}", "\n  location: {}\n  usage: {about: use}  # !"), ""),
    ("L031", "warning", head("features:", "levels: [low, high]  # !\nfeatures:"), ""),
    ("L032", "warning", HEAD + "  speed: {type: double, feature: location, do: drop}  # !\n", ""),
    ("L033", "error", head("tenant: tenant_id\n", "").replace("position}}", "position}}  # !"), ""),
    ("L034", "warning", HEAD + "  x: {type: string, purposes: [quality_and_security], do: keep}  # !\n", ""),
    ("L035", "warning", head("position}}", "position}}  # !"), "", "t,,loction,on,admin"),
    ("L036", "warning", head("{about: position}}", "{holders: [user]}}  # !"), "", "t,,location,on,admin"),
    ("L037", "warning", head("position}}", "position}}  # !"), "", "t,,location,yes,admin"),
    ("L038", "warning", head("features:", "levels: [low, high]  # !\nfeatures:"), "", "t,,level,middle,admin"),
    # retention
    ("L040", "warning", head("retention: 30d\n", "").replace("policy: p", "policy: p  # !"), ""),
    ("L041", "warning", head("retention: 30d", "retention: 31d  # !"), ""),
    ("L042", "error", head("time: event_time\n", "").replace("retention: 30d", "retention: 30d  # !"), ""),
    ("L043", "warning", head("{location: {about: position}}", "\n  location: {retention: 60d}  # !"), ""),
    ("L044", "warning", head("retention: 30d", "retention: 30d\nfuture: 30d  # !"), ""),
    ("L045", "warning", head("time: event_time\n", "").replace("retention: 30d", "future: 1h  # !"), ""),
    (
        "L047",
        "error",
        head("subject: device_id\n", "").replace(
            "{location: {about: position}}", "\n  location: {per_subject: true}  # !"
        ),
        "",
    ),
    ("L048", "warning", HEAD + "  cell: {from: [latitude, battery], do: {grid: {metres: 300}}}  # !\n", ""),
    # conditions
    ("L050", "error", HEAD + "  x: {type: string, do: keep, collect_if: {device_id: a}}  # !\n", ""),
    (
        "L050",
        "error",
        HEAD + "  pin: {type: string, role: secret}\n  x: {type: string, do: keep, collect_if: {pin: a}}  # !\n",
        "",
    ),
    (
        "L051",
        "warning",
        HEAD + "  hidden: {type: boolean}\n  x: {type: string, do: keep, collect_if: {hidden: true}}  # !\n",
        "",
    ),
    ("L052", "warning", HEAD + "  x: {type: string, do: keep, collect_if: {tenant_id: 7}}  # !\n", ""),
    # aggregates
    ("L060", "error", HEAD + "  n: {type: integer, do: keep}\n", AGGREGATE + "    measures: {m: {mean: n}}  # !\n"),
    ("L061", "warning", HEAD, AGGREGATE.replace("below: 10}", "below: 3}  # !") + "    measures: {n: count}\n"),
    ("L062", "error", HEAD + "  n: {type: integer, do: keep}\n", AGGREGATE + "    measures: {m: {max: n}}  # !\n"),
    (
        "L068",
        "error",
        HEAD + "  n: {type: integer, do: keep}\n",
        AGGREGATE + "    measures: {m: {quantile: {of: n, q: 1}}}  # !\n",
    ),
    ("L065", "warning", HEAD, AGGREGATE + "    measures: {n: count}\n    late: 2d  # !\n"),
    ("L074", "warning", HEAD, AGGREGATE + "    measures: {n: count}\n    retention: 401d  # !\n"),
    ("L075", "warning", HEAD, AGGREGATE + "    measures: {n: count}\n    retention: 31d  # !\n"),
    ("L069", "warning", HEAD, AGGREGATE.replace("  a:", "  a:  # !") + "    measures: {n: count}\n"),
    (
        "P112",
        "error",
        HEAD,
        AGGREGATE.replace("tenant: tenant_id}", "t: {event_time: hour}}  # !") + "    measures: {n: count}\n",
    ),
    (
        "P111",
        "error",
        HEAD + "  x: {type: string}\n",
        AGGREGATE.replace("tenant_id}", "x}  # !") + "    measures: {n: count}\n",
    ),
    (
        "P114",
        "error",
        HEAD + "  n: {type: integer, do: {bin: {edges: [1, 2]}}}\n",
        AGGREGATE + "    measures: {m: {mean: n}}  # !\n",
    ),
    # refusals
    (
        "R001",
        "error",
        HEAD + "  imei: {type: string, role: identifier, do: keep}\n",
        "records:\n  must_be: pseudonymized  # !\n",
    ),
    ("R002", "error", HEAD, "records:\n  partition_by: [device_id]  # !\n"),
    ("R003", "error", HEAD, AGGREGATE + "    measures: {m: {max: battery}}  # !\n"),
    # names and purposes
    ("P015", "error", HEAD + "  date: {type: string}  # !\n", ""),
    ("P015", "error", HEAD, "aggregates:\n  runs: {group_by: {t: tenant_id}, measures: {n: count}}  # !\n"),
    ("P009", "error", head("customer_support]", "marketing]  # !"), ""),
    ("P008", "error", head("customer_support]", "kindness]  # !"), ""),
    ("P004", "error", HEAD + "  x: {type: string, rolle: plain}  # !\n", ""),
    ("P011", "error", HEAD + "  x: {type: string, do: trunkate_ip}  # !\n", ""),
    ("P120", "error", HEAD + "  x: {type: string, do: keep, collect_if: {x: a}}  # !\n", ""),
]
RECORD = '{"tenant_id": "t", "device_id": "d", "event_time": "2026-11-24T00:00:00Z", "latitude": 1.0, "battery": 1.0, "x": "a"}\n'


def marked(*files: Path) -> tuple[str, int] | None:
    """The file and line that end in `# !`."""
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), start=1):
            if line.endswith("# !"):
                return str(file), number
    return None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0])
def test_lint_finds(kind: tuple[str, ...], tmp_path: Path, command: Command) -> None:
    code, severity, policy, pipeline, *setting = kind
    folder = tmp_path / "tree" / "one"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a.ndjson").write_text(RECORD)
    (folder / "policy.yaml").write_text(policy)
    text = PIPELINE.replace("records: {must_be: pseudonymized}\n", "") if "records:" in pipeline else PIPELINE
    (folder / "pipeline.yaml").write_text(text + pipeline)
    rows = "".join(f"{row},2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n" for row in setting)
    (folder / "settings.csv").write_text(SETTINGS + rows)
    other = tmp_path / "tree" / "two"
    other.mkdir()
    (other / "policy.yaml").write_text(HEAD.replace("policy: p", "policy: other") + "  model: {type: string}\n")
    said = command("lint", folder, "--json")
    found = [finding for finding in said.json["findings"] if finding["code"] == code]
    assert found
    assert {finding["severity"] for finding in found} == {severity}
    assert all(finding["message"] and finding["file"] for finding in found)
    place = marked(folder / "policy.yaml", folder / "pipeline.yaml")
    if place is not None:
        assert place in {(finding["file"], finding["line"]) for finding in found}
    assert said.code == (1 if any(finding["severity"] == "error" for finding in said.json["findings"]) else 0)


def test_a_faulty_file_is_judged_as_far_as_it_can_be_read(tmp_path: Path, command: Command) -> None:
    risky = "  note: {type: string, role: free_text, do: keep}\n  imei: {type: string, role: identifier, do: keep}\n"
    faulty = "  pin: {type: string, role: secret, do: keep}\n  ip: {type: string, do: md5}\n"
    (tmp_path / "policy.yaml").write_text(HEAD.replace("feature: location, ", "feature: locaton, ") + risky + faulty)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.replace("purpose: operations", "purpose: operation"))
    said = command("lint", tmp_path, "--json")
    assert said.code == 1
    codes = sorted(finding["code"] for finding in said.json["findings"])
    assert codes == ["L002", "L004", "L096", "P008", "P010", "P012", "P014"]


def test_settings_that_are_not_there_are_a_warning(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "tree" / "one"
    folder.mkdir(parents=True)
    (folder / "policy.yaml").write_text(HEAD)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    said = command("lint", folder, "--json")
    assert [(each["code"], each["line"]) for each in said.json["findings"]] == [("L039", 5), ("L096", 7)]
    assert said.code == 0
