"""What travels, taken apart: pure functions, by examples and by chance."""
