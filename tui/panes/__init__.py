"""Panes of the workstation: each turns a snapshot into rows or facts."""
