"""Where people look after themselves: what they asked for, granted, and are signed in with."""
