"""Telling a person away from the screen: which route is told of what and when, how it is sent, and a sign of life."""
