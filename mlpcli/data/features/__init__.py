"""Preprocessing: columns to network inputs."""
