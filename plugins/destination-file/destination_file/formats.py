"""Encodes a batch as the bytes of a file."""

import csv
import io

import msgspec
from cdp_bridge.sdk import Batch


def jsonl(batch: Batch) -> bytes:
    """A line for each member: operation, key in hex, and each identifier with its values."""
    lines = (
        {"operation": batch.operation, "key": key.hex()}
        | {name: values[i] for name, values in batch.identifiers.items() if values[i]}
        for i, key in enumerate(batch.keys)
    )
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def csv_long(batch: Batch) -> bytes:
    """A line for each value of an identifier, since a member may have several of a kind."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("operation", "key", "identifier", "value"))
    for i, key in enumerate(batch.keys):
        for name, values in batch.identifiers.items():
            rows.writerows((batch.operation, key.hex(), name, value) for value in values[i])
    return text.getvalue().encode()


ENCODERS = {"jsonl": jsonl, "csv": csv_long}
