"""An Airflow DAG that runs `nightly.sh`. It only runs a shell command, so Airflow and minimize can have separate environments.

Airflow's own catch-up is off, because `--pending` catches up: it runs each date whose files are new or changed.
"""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG(
    dag_id="minimize_device_telemetry",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=15)},
    tags=["privacy"],
) as dag:
    BashOperator(
        task_id="night",
        bash_command="/opt/minimize/bin/nightly.sh"
        " pipelines/device_telemetry out/device_telemetry"
        " pipelines/managed_apps out/managed_apps"
        " pipelines/jamf_compliance out/jamf_compliance",
        cwd="/srv/telemetry",
        env={
            "MINIMIZE_KEYS": "/etc/minimize/keys",
            "MINIMIZE_LEDGER": "/srv/telemetry/ledger.db",
            "MINIMIZE_ACTOR": "scheduler@example.com",
            "DELETED": "/srv/telemetry/deleted_users.csv",
            "MINIMIZE_LOG_FORMAT": "json",
        },
        execution_timeout=timedelta(hours=6),
    )
