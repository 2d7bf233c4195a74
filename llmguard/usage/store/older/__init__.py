"""Databases in which an older tracker has kept its calls: its tables are recognised, set aside and taken over."""
