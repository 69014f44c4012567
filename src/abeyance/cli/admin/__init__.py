"""`abeyance review`, `client` and `user`: the admin API on the command line."""
