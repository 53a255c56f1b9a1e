"""Files that come from elsewhere: declared, pinned by checksum, fetched, verified."""
