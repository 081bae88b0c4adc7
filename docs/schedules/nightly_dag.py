"""An Airflow DAG for what the house does every night beside its runs: grants, recalls, the audit log. It only shells out."""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG(
    dag_id="minimize_nightly",
    schedule="30 4 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=15)},
    tags=["privacy"],
) as dag:
    BashOperator(
        task_id="nightly",
        bash_command="/opt/minimize/bin/nightly.sh ",  # the space: Airflow takes what ends in .sh for a template's file
        cwd="/srv/telemetry",
        env={
            "MINIMIZE_KEYS": "/etc/minimize/keys",
            "MINIMIZE_LEDGER": "/srv/telemetry/ledger/ledger.db",
            "MINIMIZE_LOG_FORMAT": "json",
            "MINIMIZE_ACTOR": "nightly@example.com",
        },
        execution_timeout=timedelta(hours=1),
    )
