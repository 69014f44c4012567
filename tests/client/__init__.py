"""The client library, against a fake server and a clock that the test moves."""
