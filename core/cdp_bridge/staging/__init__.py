"""From pages of records to desired membership: mapping, consent, suppression, normalising and hashing."""
