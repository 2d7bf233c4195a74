"""`python -m llmguard` is `llmguard`."""

from llmguard.cli import main

main()
