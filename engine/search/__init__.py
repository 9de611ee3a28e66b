"""Searching for parameters, and what keeps a search honest: spaces, executors, splits, deflated ratios, chance, stress."""
