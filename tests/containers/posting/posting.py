"""Is an Airbyte destination of somebody else's: posts what it gets to a URL, and says how it was started."""

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

SPEC = {
    "type": "object",
    "required": ["url", "token"],
    "properties": {"url": {"type": "string"}, "token": {"type": "string", "airbyte_secret": True}},
}


def say(kind: str, name: str, body: Any) -> None:
    print(json.dumps({"type": kind, name: body}), flush=True)


def post(config: dict[str, str], body: Any) -> None:
    headers = {"Authorization": config["token"]}
    urllib.request.urlopen(urllib.request.Request(config["url"], json.dumps(body).encode(), headers)).close()


command, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
if command == "spec":
    say("SPEC", "spec", {"connectionSpecification": SPEC})
else:
    config = json.loads(Path(options["--config"]).read_text())
    mode = os.stat(options["--config"]).st_mode & 0o777
    if command == "check":
        post(config, {"mode": mode, "user": os.getuid(), "environment": dict(os.environ)})
        say("CONNECTION_STATUS", "connectionStatus", {"status": "SUCCEEDED"})
    else:
        messages = [json.loads(line) for line in sys.stdin]
        post(config, [one["record"]["data"] for one in messages if one["type"] == "RECORD"])
        for one in messages:
            if one["type"] == "STATE":
                say("STATE", "state", one["state"])
