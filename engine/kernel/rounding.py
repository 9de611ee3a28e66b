"""Exact scaling that fits 64 bits: a product is never formed where the quotient can be taken first."""


def scaled_down(value: int, parts: int, whole: int) -> int:
    """`value * parts / whole` rounded toward minus infinity; `parts` >= 0, `whole` > 0."""
    return value // whole * parts + value % whole * parts // whole


def scaled_up(value: int, parts: int, whole: int) -> int:
    """`value * parts / whole` rounded toward plus infinity; `parts` >= 0, `whole` > 0."""
    return value // whole * parts - -(value % whole * parts) // whole
