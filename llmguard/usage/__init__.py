"""usage: from a finished call to a row, from rows to numbers.

A call writes two lines into a spool file, one before the request (`intent`) and one after it (`finish`); a daemon
thread turns lines into rows of the ledger. The stages, each in its own module: `lines` (bytes of a line), `spool`
(files), `recorder` (what the call path uses), `flusher` (the thread), `rows` (from lines to rows), `store` (the
database).
"""
