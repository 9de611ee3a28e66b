"""The outside world: venues and market data."""
