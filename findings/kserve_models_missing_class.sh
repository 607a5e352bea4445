#!/bin/sh
# Models of KServe's Python package name classes that the package does not have
#
# Software: kserve 0.21.0
# Guess:    every type that a model of kserve.models declares for a field is a class of that package or of Kubernetes' client.
# Instead:  ServingRuntimeSpec's worker_spec is a V1alpha1WorkerSpec and an autoscaling metric's target a V1beta1MetricQuantity;
#           neither exists, so that reading such an object from the API with these models raises.
# Seen:     two classes are missing
# Remedy:   check those fields against the CRD instead.
. "$(dirname "$0")/prelude"
packages kserve==0.21.0

cat > models.py <<'END'
import re
import sys

sys.argv = sys.argv[:1]
import kubernetes.client
from kserve import models

missing = set()
for name in dir(models):
    for declared in getattr(getattr(models, name), "openapi_types", {}).values():
        for part in re.findall(r"[A-Z]\w+", declared):
            if re.match(r"V1(alpha|beta)?\d*", part) and not hasattr(models, part) and not hasattr(kubernetes.client, part):
                missing.add(part)
with open("log", "w") as log:
    log.write(f"worker = {int('V1alpha1WorkerSpec' in missing)}\nquantity = {int('V1beta1MetricQuantity' in missing)}\n")
    log.write(f"# {sorted(missing)}\n")
END
python models.py > messages 2>&1
expect "V1alpha1WorkerSpec is missing" "$(value worker log)" 1 1
expect "V1beta1MetricQuantity is missing" "$(value quantity log)" 1 1
