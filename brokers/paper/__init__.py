"""A complete simulated venue: deterministic, durable, and honest about what a bar or a quote can fill."""
