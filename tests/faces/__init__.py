"""The words and shapes of each dialect."""
