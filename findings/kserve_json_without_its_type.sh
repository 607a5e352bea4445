#!/bin/sh
# KServe: JSON that curl sends as it does by itself is refused with a word about binary tensors
#
# Software: kserve 0.21.0
# Guess:    POST /v2/models/NAME/infer with the JSON of the Open Inference Protocol is answered, or refused for its content type.
# Instead:  without "Content-Type: application/json" the body counts as bytes, and the answer is 400: a header for binary tensors is
#           missing, which the request has none of. `curl -d` sends application/x-www-form-urlencoded.
# Seen:     the same bytes: 200 with the type, 400 "received byte inputs, but the'inference-header-content-length' header is missing"
#           without it
# Remedy:   name the type; a server can set it itself where the body is JSON and that header is not there.
. "$(dirname "$0")/prelude"
packages kserve==0.21.0 httpx==0.28.1

cat > serve.py <<'PYTHON'
import sys

from kserve import InferOutput, InferResponse, Model, ModelServer


class Echo(Model):
    def __init__(self):
        super().__init__("echo")
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        return InferResponse("1", "echo", [InferOutput("y", [1], "FP32", data=[1.0])])


ModelServer(enable_grpc=False).start([Echo()])
PYTHON
port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python serve.py --http_port "$port" --enable_grpc false > server 2>&1 &
trap 'kill $!; rm -rf "$scratch"' EXIT
cat > ask.py <<'PYTHON'
import sys
import time

import httpx

address = f"http://127.0.0.1:{sys.argv[1]}"
body = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}]}'
for _ in range(120):
    try:
        if httpx.get(f"{address}/v2/health/live").status_code == 200:
            break
    except httpx.TransportError:
        time.sleep(0.5)
for kind in ("application/json", "application/x-www-form-urlencoded"):
    answer = httpx.post(f"{address}/v2/models/echo/infer", content=body, headers={"Content-Type": kind})
    print(answer.status_code, int("inference-header-content-length" in answer.text))
PYTHON
python ask.py "$port" > answers
expect "status with the type" "$(sed -n 1p answers | cut -d' ' -f1)" 200 200
expect "status without it" "$(sed -n 2p answers | cut -d' ' -f1)" 400 400
expect "speaks of binary tensors" "$(sed -n 2p answers | cut -d' ' -f2)" 1 1
