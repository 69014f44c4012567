"""What may be lost, and what losing it costs."""
