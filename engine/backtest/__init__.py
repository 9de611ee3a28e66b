"""The same rules over history: the account compiled, and what came of it."""
