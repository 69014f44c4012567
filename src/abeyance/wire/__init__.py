"""What travels: wire names, strict decoding, secrets and the errors that go out."""
