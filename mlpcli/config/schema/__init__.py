"""What a config may say: its sections, their keys and short forms."""
