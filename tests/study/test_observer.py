"""The log of a study: one line an event, whatever comes while it is written."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from regnetlab.study import observer
from regnetlab.study.observer import log_writer
from regnetlab.study.session import stop_on_signals


def test_a_signal_that_comes_while_the_log_is_written_is_logged_and_nothing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.log.jsonl"
    write, open_own, sent = log_writer(path), observer.open_own, []

    def struck(*words: object) -> int:
        if not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)
        return open_own(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(observer, "open_own", struck)

    def run() -> None:
        with stop_on_signals(lambda text: write({"event": "note", "text": text})) as stop:
            write({"event": "finished"})
        assert stop.is_set()

    watch = threading.Timer(20, lambda: os.kill(os.getpid(), signal.SIGKILL))  # instead of waiting for ever
    watch.start()
    run()
    watch.cancel()
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert sorted(events) == ["finished", "note"]
