"""Compares how many records a source says it has printed with how many arrived."""

from __future__ import annotations

from collections import Counter

from cdp_bridge.sdk import TransientError

from airbyte_connectors.messages import Json, Message, StreamName


class RecordCounts:
    """Counts the records of each stream that no STATE has covered yet."""

    def __init__(self) -> None:
        self._open: Counter[StreamName] = Counter()

    def take(self, message: Message) -> None:
        """Count a RECORD; TransientError for a STATE whose `sourceStats.recordCount` is another number.

        A STATE of one stream covers the records of that stream since its last one, every other those of all streams.
        """
        if message.record:
            self._open[StreamName(message.record.stream, message.record.namespace)] += 1
        elif message.state:
            arrived, source = self._covered(message.state)
            said = _said(message.state)
            if said is not None and said != arrived:
                raise TransientError(
                    f"the connector says that it has printed {said:,.15g} records of {source} before a STATE, and "
                    f"{arrived:,} arrived, so nothing of it is taken; if it stays so, try another version of it"
                )

    def _covered(self, state: Json) -> tuple[int, str]:
        match state:
            case {"stream": {"stream_descriptor": {"name": str(name)} as descriptor}}:
                stream = StreamName(name, descriptor.get("namespace"))
                return self._open.pop(stream, 0), f"the stream {stream}"
        arrived = self._open.total()
        self._open.clear()
        return arrived, "all streams"


def _said(state: Json) -> float | None:
    match state.get("sourceStats"):
        case {"recordCount": int() | float() as count} if not isinstance(count, bool):
            return count
    return None
