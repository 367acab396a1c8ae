"""What exceeds the engine's memory goes to disk: never a raw value, whatever the engine has to move out of the way."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cdp_bridge import engine
from cdp_bridge.entities import DataMapping
from cdp_bridge.mapping import compile_mapping
from cdp_bridge.staging.stage import Stage

PEOPLE, A_PAGE = 120_000, 20_000
MEMORY = "50MB"
MARKS = (b"kanarie", b"zugvogel", b"5550199")
FIELDS = ("email", "phone", "first_name", "last_name", "country")


class Watch:
    """Reads every file of a folder over and over, also those that live for a moment."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ended = folder, threading.Event()
        self.bytes, self.found = 0, set[bytes]()

    def look(self) -> None:
        while not self._ended.is_set():
            for path in self._folder.iterdir():
                try:
                    content = path.read_bytes().lower()
                except OSError:
                    continue
                self.bytes = max(self.bytes, len(content))
                self.found |= {mark for mark in MARKS if mark in content}
            time.sleep(0.01)

    @contextmanager
    def looking(self) -> Iterator[None]:
        thread = threading.Thread(target=self.look)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


def page(start: int, several: bool) -> pa.RecordBatch:
    numbers = range(start, start + A_PAGE)
    emails: Any = [f"kanarie{number}@example.com" for number in numbers]
    if several:
        emails = [[one, f"also.{one}"][: 1 + number % 2] for number, one in enumerate(emails)]
    columns = {
        "id": [f"u{number}" for number in numbers],
        "email": emails,
        "phone": [f"+1415{number % 1000:03}5550199" for number in numbers],
        "first_name": [f"Kanarie{number}" for number in numbers],
        "last_name": [f"Zugvogel{number}" for number in numbers],
        "country": ["us"] * A_PAGE,
    }
    return pa.record_batch(columns)


@pytest.mark.parametrize("several", [False, True])
def test_no_raw_value_ever_reaches_the_disk(tmp_path: Path, several: bool) -> None:
    mappings = [DataMapping(omniads_field=name, cdp_field=name) for name in FIELDS]
    mapper = compile_mapping([DataMapping(omniads_field="user_id", cdp_field="id"), *mappings], (), {})
    watch = Watch(tmp_path)
    with watch.looking(), engine.connect(MEMORY, temp_directory=tmp_path) as connection:
        stage = Stage(connection, mapper, "meta", FIELDS, key=b"k" * 32)
        for start in range(0, PEOPLE, A_PAGE):
            stage.take(page(start, several))
        assert stage.finish().identifiable == PEOPLE
    assert watch.bytes > 1_000_000, "nothing was moved to disk, so this proves nothing"
    assert watch.found == set()
