"""Lane D: named interleavings. Two or three requests over the real store, a step at a time, in
every order that the database allows.
"""
