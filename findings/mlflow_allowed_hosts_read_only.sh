#!/bin/sh
# A host that MLflow is told to allow can read its pages and change nothing
#
# Software: mlflow 3.17.2, mlflow server --allowed-hosts
# Guess:    with --allowed-hosts=tracking.example the page at http://tracking.example works.
# Instead:  reading works; every request that a browser sends with its Origin, such as a search of runs or a new name, is refused
#           with 403 "Cross-origin request blocked", since the same host is not among the origins allowed by another option.
# Seen:     GET 200; POST with Origin 403, without 200
# Remedy:   name the host in MLFLOW_SERVER_CORS_ALLOWED_ORIGINS as well.
. "$(dirname "$0")/prelude"
packages mlflow==3.17.2

cat > serve.py <<'END'
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
command = [sys.executable, "-m", "mlflow", "server", "--workers=1", "--host=127.0.0.1", f"--port={port}"]
command += ["--backend-store-uri=sqlite:///mlflow.db", "--allowed-hosts=tracking.example"]
environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
server = subprocess.Popen(command, env=environment, start_new_session=True)


def ask(path, body=None, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Host": "tracking.example", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


try:
    for _ in range(600):
        try:
            read = ask("/api/2.0/mlflow/experiments/get?experiment_id=0")
            break
        except OSError:
            time.sleep(0.2)
    body = json.dumps({"experiment_ids": ["0"]}).encode()
    kind = {"Content-Type": "application/json"}
    other = ask("/api/2.0/mlflow/runs/search", body, **kind)
    page = ask("/api/2.0/mlflow/runs/search", body, **kind, Origin="http://tracking.example")
finally:
    os.killpg(server.pid, signal.SIGTERM)
with open("log", "w") as log:
    log.write(f"read = {read}\nother = {other}\npage = {page}\n")
END
python serve.py > messages 2>&1
expect "status of a GET" "$(value read log)" 200 200
expect "status of a POST without Origin" "$(value other log)" 200 200
expect "status of a POST from a page of the allowed host" "$(value page log)" 403 403
