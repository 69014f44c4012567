"""Scope, resources, details and the one comparison of the house."""
