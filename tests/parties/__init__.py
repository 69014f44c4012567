"""Who is involved, as plain records."""
