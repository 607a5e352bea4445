#!/bin/sh
# A refused token is reported as a health check that timed out, half a minute later
#
# Software: kfp 2.17.0, kfp.Client
# Guess:    an API that answers 401 makes the client raise an error that says 401.
# Instead:  the constructor asks for the API's health five times, five seconds apart, whatever it was answered, logs five
#           tracebacks, and raises TimeoutError("Failed getting healthz endpoint after 5 attempts.").
# Seen:     5 requests, TimeoutError without the status
# Remedy:   ask for the health once in a subclass of the client, and report what it answers.
. "$(dirname "$0")/prelude"
packages kfp==2.17.0

cat > refused.py <<'END'
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer

warnings.simplefilter("ignore")
import kfp

requests = []


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        requests.append(self.path)
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Refusing)
threading.Thread(target=server.serve_forever, daemon=True).start()
try:
    kfp.Client(host=f"http://127.0.0.1:{server.server_port}", existing_token="wrong")
except Exception as error:
    kind, text = type(error).__name__, str(error)
with open("log", "w") as log:
    log.write(f"requests = {len(requests)}\n")
    log.write(f"timeout = {int(kind == 'TimeoutError')}\n")
    log.write(f"status = {int('401' in text)}\n")
END
HOME=$PWD python refused.py > messages 2>&1
expect "requests for the API's health" "$(value requests log)" 5 5
expect "the error is a TimeoutError" "$(value timeout log)" 1 1
expect "the error names the status" "$(value status log)" 0 0
