"""The configuration: what may be written, and what is refused with which words."""
