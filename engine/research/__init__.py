"""Research: what a model may know, what it answers, what that is worth, and how its forecasts turned out.

Pure, but for the pipeline, which waits for the answers of models that it is given. Nothing here places an order: the end of
every run is a tuple of `Decided`, an input to the engine like any other.
"""
