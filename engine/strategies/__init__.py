"""Strategies: what to want after a closed bar. They produce wants, never orders."""
