"""`kill -9` at random moments of a replay: the disturbed run must end exactly as the undisturbed one."""
