"""Breaking the world around the server on purpose, and judging what came of it.

`log` is the one format of what happened, `checker` judges a log and knows nothing of the
server; the lanes (`simulation`, and the tests that `lanes` runs with larger numbers) make
histories. `python -m faults` runs them all.
"""
