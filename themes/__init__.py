"""Colours only."""
