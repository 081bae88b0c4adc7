"""An Airflow DAG that calls `minimize` every night. It only shells out: Airflow and minimize need not share an environment.

Airflow's own catch-up is off, because `--pending` catches up by itself: a date is run when its files are new or changed.
"""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.operators.bash import BashOperator

ENVIRONMENT = {
    "MINIMIZE_KEYS": "/etc/minimize/keys",
    "MINIMIZE_LEDGER": "/srv/telemetry/ledger/ledger.db",
    "MINIMIZE_LOG_FORMAT": "json",
}

with DAG(
    dag_id="minimize_device_telemetry",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=15)},
    tags=["privacy"],
) as dag:
    run = BashOperator(
        task_id="run",
        bash_command="/opt/minimize/bin/minimize run pipelines/device_telemetry --pending",
        cwd="/srv/telemetry",
        env=ENVIRONMENT,
        execution_timeout=timedelta(hours=6),
    )
    verify = BashOperator(
        task_id="verify",
        bash_command="/opt/minimize/bin/minimize verify out/device_telemetry",
        cwd="/srv/telemetry",
        env=ENVIRONMENT,
    )
    run >> verify
