"""A scripted Airbyte connector: records its input and prints what a file tells it to."""

import json
import os
import pathlib
import stat
import sys

here = pathlib.Path(__file__)


def mode(path: str) -> str:
    return oct(stat.S_IMODE(os.stat(path).st_mode))


command, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
note = {
    "command": command,
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "files": {name[2:]: json.loads(pathlib.Path(path).read_text()) for name, path in options.items()},
    "modes": [
        oct(stat.S_IMODE(os.stat(part).st_mode)) for path in options.values() for part in (path, os.path.dirname(path))
    ],
    "stdin": [json.loads(line) for line in sys.stdin],
}
with here.with_suffix(".given").open("a") as notes:
    notes.write(json.dumps(note) + "\n")
for line in json.loads(here.with_suffix(".json").read_text()).get(command, []):
    if isinstance(line, str) and line.startswith("!"):
        exec(line[1:])
    else:
        print(line if isinstance(line, str) else json.dumps(line), flush=True)
