"""The embedded cloud: an AWS emulator, simulated providers and an ECS task runner on one machine."""
