"""The deciders: rules in CEL and Python callables."""
