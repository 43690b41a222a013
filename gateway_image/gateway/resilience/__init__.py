"""What happens when a provider is slow or fails."""
