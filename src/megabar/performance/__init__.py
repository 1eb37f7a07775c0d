"""How fast a potential runs on this machine, and input decks that take a run to a larger one."""
