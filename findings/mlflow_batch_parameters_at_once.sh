#!/bin/sh
# Parameters that two writers give one run at the same moment: fine one by one, an error in a batch
#
# Software: mlflow 3.17.2, SqlAlchemyStore
# Guess:    equal parameters may be recorded twice, as MLflow's documentation of log_param says, by two processes at once too, and
#           log_batch is log_param of many.
# Instead:  the store looks which parameters a run has and then inserts the others. Where another writer comes between, log_param
#           looks again and is content; log_batch raises BAD_REQUEST "UNIQUE constraint failed: params.key, params.run_uuid"
#           and none of the batch is recorded.
# Seen:     log_param ok; log_batch BAD_REQUEST; of the batch's two parameters the other writer's alone is there
# Remedy:   on an error read the run's parameters and send those that are missing again.
. "$(dirname "$0")/prelude"
packages mlflow==3.17.2

cat > write.py <<'END'
from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.exceptions import MlflowException
from sqlalchemy import event
from sqlalchemy.orm import Session

client = MlflowClient("sqlite:///mlflow.db")
found = {}


waiting = []


@event.listens_for(Session, "before_flush")
def other_writer_in_between(*_):
    if waiting:
        client.log_batch(run_id, params=[waiting.pop()])


run_id = client.create_run("0").info.run_id
for name, log in {
    "single": lambda: client.log_param(run_id, "single", "1"),
    "batch": lambda: client.log_batch(run_id, params=[Param("batch", "1"), Param("rest", "1")]),
}.items():
    waiting.append(Param(name, "1"))
    try:
        log()
        found[name] = "accepted"
    except MlflowException as error:
        found[name] = f"{error.error_code} {'UNIQUE constraint' in error.message}"
found["recorded"] = " ".join(sorted(client.get_run(run_id).data.params))
print(found)
with open("log", "w") as log:
    log.write(f"single = {int(found['single'] == 'accepted')}\n")
    log.write(f"batch = {int(found['batch'] == 'BAD_REQUEST True')}\n")
    log.write(f"rest = {int('rest' in found['recorded'].split())}\n")
END
python write.py 2> messages
expect "log_param accepted" "$(value single log)" 1 1
expect "log_batch refused as BAD_REQUEST, for a UNIQUE constraint" "$(value batch log)" 1 1
expect "the batch's other parameter recorded" "$(value rest log)" 0 0
