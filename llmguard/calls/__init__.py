"""Asking a model: a question in, an answer out, on the books.

In order: `wrapper` and `unified` are what programs call, `ways` who may answer; `question` is the way of a question,
through `process_cache` (`cache`, `redis_cache`, `cached_answer`, `single_flight`) and `failover` (`breaker`,
`failures`); `request` says what a call is; `transports` knows which SDK speaks to a provider; `clients` keeps one
client of it for each way to reach it; `result` and `answer` are what comes back; `prices` says what a call would cost.
"""
