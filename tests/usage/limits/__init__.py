"""Limits, budgets and stops."""
