"""What the platforms hold: audiences, their members, whom they refused, and who must not be sent."""
