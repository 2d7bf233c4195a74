"""Limits: how many calls, tokens and dollars may go out, in a window or in a run; and stopping calls altogether.

`limit` says what one is, `rules` which hold for a call, `reserve` what a call may take, `gate` lets it pass or refuses
it, `counting` (and `usage.store.counters`) keeps what is used, `runs` and `budget` are those of runs, `control` sets,
removes and stops, `standing` answers where a user stands.
"""
