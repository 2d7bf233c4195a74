"""testing: what tests of code that asks models need.

    from llmguard.testing import FakeProvider, memory_ledger

    def test_the_summary_is_on_the_books():
        with FakeProvider() as provider, memory_ledger() as ledger:
            summarize("text", base_url=provider.base_url)
        ledger.assert_tracked(1, service_name="summarizer", status="ok")

Base install plus `llmguard[runtime]`; nothing leaves the machine.
"""

from llmguard.testing.ledger import MemoryLedger, memory_ledger
from llmguard.testing.provider import FakeProvider, Request
from llmguard.testing.wire import Answer

__all__ = ["Answer", "FakeProvider", "MemoryLedger", "Request", "memory_ledger"]
