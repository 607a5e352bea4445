"""The server with scripted circuits for trained models: ``python -m tests.serving.scripted_server HTTP GRPC``."""

from __future__ import annotations

import sys

from serving.__main__ import DesignServer, FixedRepository
from serving.model import DesignModel
from tests.amplifiers import CASCODE, MATCHED_28GHZ
from tests.scripted_designer import ScriptedDesigner

if __name__ == "__main__":
    model = DesignModel("genrf", lambda: ScriptedDesigner([CASCODE, MATCHED_28GHZ]))
    model.load()
    DesignServer(FixedRepository(), http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2])).start([model])
