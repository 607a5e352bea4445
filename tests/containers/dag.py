"""Run the pipeline's DAG with every step in a container: ``python dag.py IMAGE FOLDER OVERRIDES``; outputs below FOLDER/pipeline.

A process of its own, since KFP keeps its runner and the components' image for good.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

image, folder, overrides = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
os.environ["GENRF_IMAGE"] = image

from docker.types import Mount  # noqa: E402
from kfp import local  # noqa: E402

from pipelines.at_once import independent_tasks_at_once  # noqa: E402
from pipelines.placement import here  # noqa: E402
from pipelines.train import training_pipeline  # noqa: E402
from tests.containers.conftest import CONFINED  # noqa: E402

environment = {
    "GENRF_WORK": "/work",
    "GENRF_PIPELINE_RUN": "in-containers",
    "MLFLOW_TRACKING_URI": os.environ["MLFLOW_TRACKING_URI"],
    "OMP_NUM_THREADS": "1",
}
for name in ("pipeline", "work"):
    (folder / name).mkdir()
    (folder / name).chmod(0o777)
# The launcher makes each step's folders, and the image's user writes into them.
os.umask(0)
runner = local.DockerRunner(
    environment=environment, mounts=[Mount("/work", str(folder / "work"), type="bind")], **CONFINED
)
local.init(runner=runner, pipeline_root=str(folder / "pipeline"), enable_caching=False)
pipeline = training_pipeline(here)
with independent_tasks_at_once(pipeline.pipeline_spec.root.dag.tasks):
    pipeline(recipe="smoke", overrides=overrides, data_hash="")
