"""CDP Bridge keeps the audiences of ad platforms in sync with the segments of a customer data platform."""
