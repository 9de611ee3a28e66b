"""The trading engine: a pure core, its shell, and what the surfaces talk to."""
