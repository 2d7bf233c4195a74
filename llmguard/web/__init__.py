"""What is spent, over HTTP: routes that an application mounts, and that `llmguard serve` runs whole.

In order: `ledger` opens the ledger; `viewer` says who asks; `problems` says what goes wrong; `parameters` what may be
asked; `bodies` what is answered; `llm_usage` has the routes for users.
"""
