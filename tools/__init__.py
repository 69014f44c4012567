"""Tools for those who work on Abeyance; no part of the installed package."""
