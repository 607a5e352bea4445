"""The image that every component runs in.

Its tag stands for the code, so a cached step is reused only with the code that it was made with. On a cluster that is
the image's tag; where steps run as processes of this machine the launcher sets a hash of the source files instead.
"""

from __future__ import annotations

import os

IMAGE = os.environ.get("GENRF_IMAGE", "genrf/pipeline-python:0.1.0")
