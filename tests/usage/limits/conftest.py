"""A recorder on a database of its own, whose limits are looked at often."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmguard.usage import recorder
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings


@pytest.fixture
def recording(settings: UsageSettings) -> Iterator[Recorder]:
    """The recorder of this process, on `settings`; a slow machine is no outage to it."""
    mine = Recorder(settings._replace(limits_deadline=20.0))
    before = recorder.replace(mine)
    yield mine
    recorder.replace(before)
    mine.close(5)
