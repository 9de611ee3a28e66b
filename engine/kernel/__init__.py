"""Compilable rules: plain functions over ints, floats, arrays and flat NamedTuples; no imports from the rest."""
