"""Incidents played on the paper venue, and how they are scored."""
