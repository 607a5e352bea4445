#!/bin/sh
# gRPC: a second server at a port that is taken starts without a word, and the two share the calls
#
# Software: grpcio 1.85.1
# Guess:    whoever listens at a port that another program listens at is told that it is in use.
# Instead:  by default both set SO_REUSEPORT on Linux. The second server gets the port, and the kernel deals connections out between
#           them: half of the calls reach the program that somebody forgot to stop. HTTP servers refuse to start.
# Seen:     two servers of one port, no error; of forty connections each server answers some
# Remedy:   options=[("grpc.so_reuseport", 0)]; then add_insecure_port raises RuntimeError.
. "$(dirname "$0")/prelude"
packages grpcio==1.85.1

cat > servers.py <<'PYTHON'
import sys
from concurrent import futures

import grpc


def server(name, port, options=()):
    made = grpc.server(futures.ThreadPoolExecutor(4), options=options)
    answer = grpc.unary_unary_rpc_method_handler(lambda request, context: name)
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s", {"m": answer}),))
    bound = made.add_insecure_port(f"127.0.0.1:{port}")
    made.start()
    return made, bound


first, port = server(b"first", 0)
second, again = server(b"second", port)
answers = set()
for _ in range(40):
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        answers.add(channel.unary_unary("/s/m")(b"", timeout=20))
try:
    server(b"third", port, [("grpc.so_reuseport", 0)])
    refused = 0
except RuntimeError:
    refused = 1
print(int(port == again), len(answers), refused)
PYTHON
result=$(python servers.py 2> messages)
expect "second server at the same port" "$(echo "$result" | cut -d' ' -f1)" 1 1
expect "servers that answered" "$(echo "$result" | cut -d' ' -f2)" 2 2
expect "refused without SO_REUSEPORT" "$(echo "$result" | cut -d' ' -f3)" 1 1
