"""The MUSTs of the conformance kit as tests, and what judges a connector by them."""
