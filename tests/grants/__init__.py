"""What each originating grant makes of a request."""
