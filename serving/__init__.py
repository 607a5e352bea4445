"""Serving designs over the Open Inference Protocol.

    python -m serving --http_port 8080 --grpc_port 8081

serves the released weights, and any other bundle with ``--bundle FOLDER`` or the environment variable ``GENRF_BUNDLE``. It
is ready once a circuit of every class that the models know has been generated and has simulated.

Every search is recorded in a feedback log (`genrf.feedback`): a folder ``feedback`` here, or what ``--feedback`` or
``GENRF_FEEDBACK`` names; ``--feedback off`` switches it off.

A request is one specification, in the words of a specification file. The answer is circuits that were simulated for it.

    POST /v2/models/genrf/infer
    {"inputs": [{"name": "specification", "datatype": "BYTES", "shape": [1],
                 "data": ["{\\"class\\": \\"lna\\", ...}"]}],
     "parameters": {"calls": 64, "seed": 0, "designs": 3}}

``GET /v2/models/genrf`` names all tensors, ``/v2/health/ready`` and ``/v2/health/live`` are for probes, ``/metrics``
is for Prometheus. gRPC offers the same on a port of its own.

**The server listens on all interfaces (0.0.0.0), without authentication; KServe's model server has no option for
either.** Do not run it where untrusted machines reach its ports: the manifests in ``k8s/`` put it behind a network
policy, and the cluster's gateway does the authentication. Loading and unloading models over the network is refused.
"""
