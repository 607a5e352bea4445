"""Serving designs over the Open Inference Protocol, plain JSON, and a page.

    python -m serving --http_port 8080 --grpc_port 8081

serves the released weights, and any other bundle with ``--bundle FOLDER`` or the environment variable ``GENRF_BUNDLE``;
docs/serving.md tells all. What stands where:

request, contract, limits    what may be asked, as plain JSON and as tensors, and what is refused before anything looks at it
worker, warm_up, drawing     a process that designs, and what it can make of a design
workers, queues              the processes as the server sees them, and whose turn it is
service, jobs, store         answers, shared and kept; searches that outlive the server
variants, watch, champion    champion and challenger, and the registry that names them
model, rest, openapi, page   the Open Inference Protocol, ``/v1``, its description, and ``/ui/``
server, telemetry, feedback  KServe's server around it, what it counts, what it records
torchserve                   the three networks for a server that is archived upstream

**The server listens on all interfaces (0.0.0.0); KServe's model server has no option for that.** ``GENRF_TOKEN`` makes it ask for
a token; the manifests in ``k8s/`` put it behind a network policy. Loading and unloading models over the network is refused.
"""
