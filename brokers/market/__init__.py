"""Market data: a simulated market that needs no network, and recorded tapes."""
