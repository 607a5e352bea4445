#!/bin/sh
# An SQLite store whose making was interrupted: MLflow can neither use it nor finish making it
#
# Software: mlflow 3.17.2, SqlAlchemyStore on SQLite
# Guess:    the store is made in one transaction, or its making goes on where it was interrupted; a laptop's Ctrl-C during the
#           first run costs a second.
# Instead:  some tables are made at once and the rest by migrations, whose tables stay in the file whether the migration ends or
#           not. Killed in one, every later start fails in the same place, with sqlite3.OperationalError "table ... already
#           exists" or "index ... already exists" and no word that the file is to be deleted.
# Seen:     killed after the first table that a migration makes: no later start of 2 succeeds; with the file gone the next does
# Remedy:   make the store under another name and rename it once it is whole.
. "$(dirname "$0")/prelude"
packages mlflow==3.17.2

cat > start.py <<'END'
import os
import signal
import sys

from alembic import op
from mlflow import MlflowClient

if sys.argv[1:] == ["killed"]:
    make = op.create_table

    def kill(*arguments, **options):
        make(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    op.create_table = kill
MlflowClient("sqlite:///mlflow.db").search_experiments()
END
starts() { python start.py "$@" > "messages-$number" 2>&1 && echo 1 || echo 0; }
number=1; first=$(starts killed)
number=2; second=$(starts)
number=3; third=$(starts)
tail -n 3 messages-3
rm mlflow.db
number=4; anew=$(starts)
expect "starts that were killed and succeeded" "$first" 0 0
expect "later starts that succeeded" "$((second + third))" 0 0
expect "complaints that something exists already" "$(grep -c 'already exists' messages-3 | awk '{ print ($1 > 0) }')" 1 1
expect "starts without the file that succeeded" "$anew" 1 1
