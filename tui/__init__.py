"""What a person at a terminal touches: the app, its screens and panes, the command line."""
