"""Lane C: real processes that are killed, stopped and cut off, over real stores."""
