"""Files to tables: sources, sniffing, one reader a format."""
