"""The server with scripted circuits for trained models: ``python -m tests.serving.scripted_server HTTP GRPC [LOG]``."""

from __future__ import annotations

import sys

from serving.__main__ import DesignServer, FixedRepository
from serving.feedback import Recorder, log_of
from serving.model import DesignModel
from tests.amplifiers import CASCODE, MATCHED_28GHZ
from tests.scripted_designer import ScriptedDesigner

if __name__ == "__main__":
    log, _ = log_of(sys.argv[3] if len(sys.argv) > 3 else "off")
    recorder = None if log is None else Recorder(log, gather_s=1000.0)
    model = DesignModel("genrf", lambda: ScriptedDesigner([CASCODE, MATCHED_28GHZ]), recorder=recorder)
    model.load()
    DesignServer(FixedRepository(), http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2])).start([model])
