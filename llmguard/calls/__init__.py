"""Asking a model: a question in, an answer out, on the books.

In order: `wrapper` is what programs call; `request` says what a call is; `transports` knows which SDK speaks to a
provider; `clients` keeps one client of it for each way to reach it; `result` is what comes back; `prices` says what a
call would cost.
"""
