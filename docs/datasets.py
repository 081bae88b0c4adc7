"""Write the guide's page about datasets from the shipped pipelines: `python docs/datasets.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.times import duration_text

HERE = Path(__file__).parent
PAGE = HERE / "guide" / "datasets.md"
PIPELINES = HERE.parent / "pipelines"
RECIPIENTS = tuple(path.stem for path in sorted((PIPELINES / "recipients").glob("*.yaml")))

HEAD = """\
# Datasets

Find a pipeline of the device-management service and run it on its sample:

```sh
minimize keys new demo.keys --name device --name user --name session > /dev/null
minimize run pipelines/enrollments --at 2026-11-25T00:00:00Z --output out/enrollments --keys demo.keys
minimize plan pipelines/enrollments > /dev/null
```

- A dataset has one folder of records per date. `minimize sample NAME --rows N --output DIR` generates more records.
- All datasets have the same tenants, users, devices and administrators. So a deletion, a consent or an incident concerns the same
  subjects in each of them.
- A pipeline reads one dataset for one purpose. Several pipelines can read the same dataset under one policy.
- An aggregate without `late:` has its figures per batch date. Two dates of one week give two rows, and a subject with records on
  both dates is counted in both rows.

`python docs/datasets.py` generates this page from the pipelines. A test fails if they differ.
"""
GROUPS = (
    (
        "The service's own data",
        "Sent by devices, client applications, administrators, support and the on-premises product.",
    ),
    ("Sent to third parties", "The fields are those of a recipient's function. See [Sharing](sharing.md)."),
    (
        "Received from third parties",
        "A message is kept only if its tenant has consented. See [Receiving](../reference/sharing.md#receiving).",
    ),
)
COLUMNS = ("pipeline", "contents", "dataset", "subject", "purpose", "category", "records kept", "aggregates")


def page() -> str:
    """The whole page."""
    pipelines = {path.parent.name: load_pipeline(path.parent) for path in sorted(PIPELINES.glob("*/pipeline.yaml"))}
    rows: Mapping[str, list[Sequence[str]]] = {title: [] for title, _ in GROUPS}
    for name, pipeline in pipelines.items():
        rows[_group(name, pipeline)].append(tuple(_row(name, pipeline)))
    parts = [HEAD]
    for title, about in GROUPS:
        if rows[title]:
            parts += [f"## {title}\n", f"{about}\n", _table(rows[title])]
    return "\n".join(parts)


def _group(name: str, pipeline: Pipeline) -> str:
    if pipeline.source.is_received:
        return GROUPS[2][0]
    is_sent = any(name.startswith(f"{recipient}_") for recipient in RECIPIENTS)
    return GROUPS[1][0] if is_sent else GROUPS[0][0]


def _row(name: str, pipeline: Pipeline) -> Iterator[str]:
    policy, records = pipeline.policy, pipeline.records
    yield f"[`{name}`](../../pipelines/{name}/pipeline.yaml)"
    yield _about(pipeline)
    yield f"`{Path(pipeline.source.path).parts[-3]}`"
    yield f"`{policy.subject}`" if policy.subject else "none"
    yield f"`{pipeline.purpose}`"
    yield "aggregates only" if records is None else f"{records.must_be}"
    yield "without limit" if policy.retention is None else duration_text(policy.retention)
    yield ", ".join(f"`{each}`" for each in pipeline.aggregates) or "none"


def _about(pipeline: Pipeline) -> str:
    """The first sentence of the comment at the top of pipeline.yaml."""
    assert pipeline.path is not None
    comment: list[str] = []
    for line in pipeline.path.read_text().splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    return " ".join(comment).partition(". ")[0].rstrip(".")


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
