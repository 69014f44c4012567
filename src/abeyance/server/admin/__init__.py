"""The admin API: what the console does, for programs, with scopes."""
