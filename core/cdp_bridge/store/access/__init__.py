"""Who may use the API, what they changed, and what they were answered."""
