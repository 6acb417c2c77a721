"""What of the last build of an output stands, and how an edit is planned and linked by it."""
