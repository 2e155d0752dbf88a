"""How often gates pass, and intervals miss, on labels that have nothing to do with the inputs."""
