"""Makes docs/page.png: the page over a ledger of a made-up month.

    python docs/picture.py

Needs the dev extra and chromium.
"""

from __future__ import annotations

import random
import shutil
import socket
import sys
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from llmguard.usage.ids import call_id
from llmguard.usage.rows import entry, row_of
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger

PICTURE = Path(__file__).with_name("page.png")
MODELS = (
    *(("openai", "gpt-4o"), ("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5")),
    ("groq", "llama-3.3-70b-versatile"),
)
PLACES = (("search", "app/search.py", 41), ("chat", "app/chat.py", 87), ("mail", "jobs/mail.py", 12))


def rows() -> list[dict[str, Any]]:
    """Calls of sixty days, the later ones the more."""
    chance = random.Random(7)
    now = datetime.now(timezone.utc)
    made = []
    for _ in range(5000):
        provider, model = chance.choice(MODELS)
        service, file, line = chance.choice(PLACES)
        at = now - timedelta(days=60 * chance.random() ** 1.3)
        counts = {"prompt_tokens": chance.randint(200, 9000), "completion_tokens": chance.randint(50, 1500)}
        said = {"provider": provider, "model": model, "service_name": service, "code_file": file, "code_line": line}
        said |= {"user_id": chance.choice(("ann", "bob", "cid")), "status": "error" if chance.random() < 0.02 else "ok"}
        head = {"call_id": call_id(), "started_at": at.timestamp(), "usage_source": "provider"}
        made.append(entry({**head, **said, **counts, "duration_ms": chance.randint(200, 9000)}, row_of))
    return made


def main() -> int:
    """Draw it."""
    import uvicorn
    from playwright.sync_api import sync_playwright

    from llmguard.web.app import create_app
    from llmguard.web.ledger import ledger

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listening:
        settings = UsageSettings(f"sqlite:///{folder}/usage.db", spool_dir=f"{folder}/spool")
        opened = Ledger.open(settings)
        opened.write(rows())
        opened.close()
        ledger._settings = lambda: settings
        server = uvicorn.Server(uvicorn.Config(create_app(local=True), log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1180, "height": 1180}, timezone_id="UTC")
            page.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/finops/llm-costs?by=line")
            page.wait_for_selector('main[aria-busy="false"]')
            page.screenshot(path=PICTURE)
            browser.close()
        server.should_exit = True
        thread.join(20)
        ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
