"""The use cases: gather facts, ask the core, apply one change, answer."""
