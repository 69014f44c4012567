"""Where everything that must not be lost lives; `ports` is all that the acts know of it."""
